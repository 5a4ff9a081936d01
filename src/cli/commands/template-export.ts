import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';

export default function build(): Command {
  throw new ByrefError('unsupported', 'not built yet', 'wait');
}
