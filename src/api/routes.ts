/**
 * The requests of the API, and the verb that each one is. An OpenAPI document, which the server reads, is made from this and
 * from the commands (scripts/generate-openapi.ts): the options of a verb are the fields of a request's body or query.
 */

/**
 * How a verb is executed. quick: at once, by the runner. answer: in a process of its own, and the request waits for it. operation:
 * in a process of its own, as an operation that the request is answered with.
 */
export type How = 'quick' | 'answer' | 'operation';

/** One request. */
export interface Route {
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  /** Names in braces are the verb's first operands, in that order. */
  readonly path: string;
  readonly verb: string;
  readonly how: How;
  /** The words that the request always has. */
  readonly fixed?: readonly string[];
}

const route = (
  method: Route['method'],
  path: string,
  verb: string,
  how: How,
  fixed: readonly string[] = [],
): Route => ({ method, path, verb, how, fixed });

/** All requests that are verbs. Those of the daemon itself are in server.ts. */
export const ROUTES: readonly Route[] = [
  route('get', '/v1/envs', 'list', 'quick'),
  route('post', '/v1/envs', 'create', 'operation'),
  route('get', '/v1/envs/{env}', 'info', 'quick'),
  route('delete', '/v1/envs/{env}', 'destroy', 'operation'),
  route('patch', '/v1/envs/{env}', 'set', 'answer'),
  route('get', '/v1/envs/{env}/diff', 'diff', 'answer'),
  route('get', '/v1/envs/{env}/processes', 'ps', 'quick'),
  route('get', '/v1/envs/{env}/volumes', 'volume list', 'quick'),
  route('get', '/v1/envs/{env}/saved', 'saved list', 'quick'),
  route('post', '/v1/envs/{env}/start', 'start', 'quick'),
  route('post', '/v1/envs/{env}/stop', 'stop', 'quick'),
  route('post', '/v1/envs/{env}/restart', 'restart', 'quick'),
  route('post', '/v1/envs/{env}/kill', 'kill', 'quick'),
  route('post', '/v1/envs/{env}/freeze', 'freeze', 'quick'),
  route('post', '/v1/envs/{env}/thaw', 'thaw', 'quick'),
  route('post', '/v1/envs/{env}/checkpoint', 'checkpoint', 'operation'),
  route('post', '/v1/envs/{env}/mount', 'mount', 'answer'),
  route('post', '/v1/envs/{env}/umount', 'umount', 'answer'),
  route('post', '/v1/envs/{env}/clone', 'clone', 'operation'),
  route('get', '/v1/envs/{env}/snapshots', 'snapshot list', 'quick'),
  route('post', '/v1/envs/{env}/snapshots', 'snapshot', 'operation'),
  route('delete', '/v1/envs/{env}/snapshots/{snapshot}', 'snapshot rm', 'operation'),
  route('get', '/v1/envs/{env}/snapshots/{snapshot}/diff', 'snapshot diff', 'answer'),
  route('post', '/v1/envs/{env}/snapshots/{snapshot}/restore', 'snapshot restore', 'operation'),
  route('post', '/v1/envs/{env}/backup', 'backup', 'operation'),
  route('post', '/v1/backup-all', 'backup', 'operation'),
  route('post', '/v1/restore', 'restore', 'operation'),
  route('post', '/v1/envs/{env}/move', 'move', 'operation'),
  route('post', '/v1/envs/{env}/rename', 'rename', 'answer'),
  route('post', '/v1/envs/{env}/relink', 'relink', 'operation'),
  route('post', '/v1/envs/{env}/pin', 'pin', 'operation'),
  route('post', '/v1/envs/{env}/follow', 'follow', 'operation'),
  route('post', '/v1/envs/{env}/apps/add', 'app add', 'operation'),
  route('post', '/v1/envs/{env}/apps/remove', 'app remove', 'operation'),
  route('post', '/v1/envs/{env}/volumes/add', 'volume add', 'answer'),
  route('post', '/v1/envs/{env}/volumes/remove', 'volume rm', 'answer'),
  route('get', '/v1/templates', 'template list', 'quick'),
  route('post', '/v1/templates/build', 'template build', 'operation'),
  route('post', '/v1/templates/import', 'template import', 'operation'),
  route('get', '/v1/templates/{template}', 'template show', 'quick'),
  route('delete', '/v1/templates/{template}', 'template rm', 'operation'),
  route('get', '/v1/templates/{template}/log', 'template log', 'quick'),
  route('get', '/v1/templates/{template}/packages', 'template packages', 'quick'),
  route('post', '/v1/templates/{template}/update', 'template update', 'operation'),
  route('post', '/v1/templates/{template}/patch', 'patch', 'operation'),
  route('post', '/v1/templates/{template}/check', 'patch', 'answer', ['--check']),
  route('post', '/v1/templates/{template}/rollback', 'rollback', 'operation'),
  route('get', '/v1/history', 'history', 'quick'),
  route('get', '/v1/stale', 'stale', 'answer'),
  route('post', '/v1/restart-stale', 'restart', 'operation', ['--stale']),
  route('get', '/v1/usage', 'df', 'answer'),
  route('post', '/v1/gc', 'gc', 'operation'),
  route('post', '/v1/fsck', 'fsck', 'operation'),
  route('post', '/v1/scrub', 'scrub', 'operation'),
  route('get', '/v1/doctor', 'doctor', 'answer'),
];
