/** What came of moves that were interrupted, on the machine that they go to. */
import { ByrefError } from '../base/error.ts';
import { type IncomingMove, incomingMoves, removeIncoming } from '../manager/moves/incoming.ts';
import { rootFormat } from '../store/marker.ts';

export type { IncomingMove } from '../manager/moves/incoming.ts';

/** Returns them, the oldest first. @throws ByrefError 'notFound' if there is no root */
export function receivedMoves(root: string): IncomingMove[] {
  rootFormat(root);
  return incomingMoves(root);
}

/** Removes what came of a move. @throws ByrefError 'notFound', 'busy' while it is being received */
export function removeReceived(root: string, move: string): IncomingMove {
  const found = receivedMoves(root).find((each) => each.move === move);
  if (found === undefined)
    throw new ByrefError(
      'notFound',
      `nothing of a move "${move}" is here`,
      'See: byref receive --list',
    );
  if (!removeIncoming(root, move))
    throw new ByrefError('busy', `${found.env} is being received`, 'Interrupt byref move there.');
  return found;
}
