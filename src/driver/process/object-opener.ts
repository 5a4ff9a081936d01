/** Opens objects for the envs of this process, and says in its log which of them are damaged. */
import { EIO } from '../../base/errno.ts';
import type { ObjectId } from '../../base/ids.ts';
import type { ObjectFiles } from '../../store/objects.ts';

/** The most objects that are named in the log: a volume that is gone would fill the disk with lines. */
const NAMED_MAX = 1000;

/** Objects that were found missing or of another size, by any env of this process. */
const named = new Set<ObjectId>();

/**
 * Returns what opens an object for an env: a descriptor, or -errno. Each damaged object is reported once, with the env that
 * asked for it first.
 * @param report is told in a sentence, with fields for the log
 */
export function objectOpener(
  objects: ObjectFiles,
  report: (fields: object, message: string) => void,
): (id: ObjectId, size?: number) => number {
  return (id, size) => {
    const fd = objects.open(id, size);
    if (fd === -EIO && !named.has(id) && named.size < NAMED_MAX) {
      named.add(id);
      report({ object: id, file: objects.path(id) }, MESSAGE);
    }
    // A later damage of one that was repaired is reported again.
    else if (fd >= 0 && named.size > 0) named.delete(id);
    return fd;
  };
}

const MESSAGE =
  'an object is missing or damaged, and its file gives EIO: byref fsck says who needs it';
