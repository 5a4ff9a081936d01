import { afterEach, beforeEach, expect, test } from 'vitest';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

/** scripts/soak.sh makes it as many times as long. */
const TIMES = Number(process.env['BYREF_SOAK'] ?? 1);
const ROUNDS = 3 * TIMES;
const LONG = 300_000 * TIMES;

let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create();
}, LONG);
afterEach(() => root.dispose(), LONG);

/** Makes $1/lower: five files, five directories, a file in each. */
const MAKE_LOWER = `
mkdir -p "$1/lower" && cd "$1/lower"
for i in 1 2 3 4 5; do mkdir d$i; echo $i >f$i; echo $i >d$i/leaf; done
`;

/** Mounts an overlay in $1, changes what it has from $2 back and forth, unmounts it: $3 times. */
const LOOP = `
mkdir -p "$1" && cd "$1"
mkdir upper work merged
trap 'cd /; umount -l "$1/merged" 2>/dev/null || true' EXIT
for round in $(seq "$3"); do
  mount -t overlay overlay -o "lowerdir=$2,upperdir=upper,workdir=work" merged
  i=$((round % 5 + 1))
  echo x >merged/new$round
  mv merged/new$round merged/only
  mv merged/f$i merged/moved
  stat merged/moved merged/only >/dev/null
  mv merged/moved merged/f$i
  cat merged/f* merged/d*/leaf >/dev/null
  mkdir merged/dir$round
  mv merged/d$i merged/dir$round/
  mv merged/dir$round/d$i merged/
  ln merged/only merged/second
  cat merged/second >/dev/null
  rm merged/only
  mv merged/second merged/only
  umount merged
done
`;

/** Six loops at once: $1 is the env, $2 the rounds. Fails if a loop does. */
const LOOPS = `
(while echo 2 >/proc/sys/vm/drop_caches; do sleep 0.1; done) &
dropper=$!
trap 'kill $dropper' EXIT
loops=
for n in 1 2 3; do
  bash -euc "$3" loop "$1/srv/of-template-$n" "$1/srv/lower" "$2" & loops="$loops $!"
  bash -euc "$3" loop "$1/home/of-env-$n" "$1/home/lower" "$2" & loops="$loops $!"
done
code=0
for loop in $loops; do wait $loop || code=1; done
exit $code
`;

test.each([
  { mode: 'passthrough', options: [] },
  { mode: 'no passthrough', options: ['--no-passthrough'] },
])(
  'overlays are mounted and changed while the kernel drops names: $mode',
  async ({ options }) => {
    const tree = root.directory('tree');
    await sh(MAKE_LOWER, [`${tree}/srv`]);
    const env = await root.mounted('e', tree, ...options);
    await sh(MAKE_LOWER, [`${env}/home`]);
    const loops = await sh(LOOPS, [env, String(ROUNDS), LOOP], { timeout: LONG });
    expect(loops).toEqual({ code: 0, stdout: '', stderr: '' });
  },
  LONG,
);
