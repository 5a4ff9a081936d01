import { ByrefError } from '../../base/error.ts';

/** @param what "nginx could not be built" */
export const interrupted = (what: string): ByrefError =>
  new ByrefError('error', `${what}: it was interrupted`, 'Nothing of it is left.');
