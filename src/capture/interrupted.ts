import { ByrefError } from '../base/error.ts';

export const interrupted = (name: string): ByrefError =>
  new ByrefError('error', `${name} was not captured: it was interrupted`, 'Nothing of it is left.');
