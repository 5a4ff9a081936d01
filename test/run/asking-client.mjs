/** asking-client.mjs ADDRESS: sends a line again and again on one connection, and prints each answer, until its input ends. */
import { connect } from 'node:net';

const socket = connect(7000, process.argv[2]);
const ask = () => socket.write('more\n');
socket.on('connect', ask);
socket.on('data', (bytes) => {
  process.stdout.write(bytes);
  setTimeout(ask, 2);
});
socket.on('error', (error) => process.stdout.write(`${error.message}\n`));
socket.on('close', () => process.stdout.write('closed\n'));
process.stdin.on('end', () => process.exit()).resume();
