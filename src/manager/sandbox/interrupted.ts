import { ByrefError } from '../../base/error.ts';

/** Makes the error of an interrupted command. @param what did not happen, as "nginx could not be built" */
export const interrupted = (what: string): ByrefError =>
  new ByrefError('error', `${what}: it was interrupted`, 'Nothing of it is left.');
