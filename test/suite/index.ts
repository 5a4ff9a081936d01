/**
 * What programs expect of a local file system, as a map of cases: run by test/suite/runner.ts on any
 * directory. The oracle is ext4; a byref env must not be told from it.
 */
import { type Case, joinGroups } from './case.ts';
import { acls } from './cases/acls.ts';
import { data } from './cases/data.ts';
import { directories } from './cases/directories.ts';
import { execution } from './cases/execution.ts';
import { fileHandles } from './cases/handles.ts';
import { hardLinks, symlinks, unnamedFiles } from './cases/links.ts';
import { listing } from './cases/listing.ts';
import { locks } from './cases/locks.ts';
import { mappings } from './cases/mapping.ts';
import { names } from './cases/names.ts';
import { nodes } from './cases/nodes.ts';
import { overlays } from './cases/overlays.ts';
import { permissionChecks, setIdBits } from './cases/permissions.ts';
import { rename } from './cases/rename.ts';
import { setIdCallers } from './cases/set-id-callers.ts';
import { space } from './cases/space.ts';
import { times } from './cases/times.ts';
import { watches } from './cases/watches.ts';
import { xattrs } from './cases/xattrs.ts';

export const posixSuite: ReadonlyMap<string, Case> = joinGroups({
  names,
  directories,
  listing,
  'hard links': hardLinks,
  symlinks,
  'unnamed files': unnamedFiles,
  rename,
  data,
  space,
  mappings,
  times,
  'permission checks': permissionChecks,
  'set-ID bits': setIdBits,
  'set-ID bits and callers': setIdCallers,
  xattrs,
  acls,
  nodes,
  locks,
  watches,
  'file handles': fileHandles,
  execution,
  overlays,
});
