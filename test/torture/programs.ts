/**
 * Programs that check their own data, as loops of bash: each is told a directory ($1) and the seconds that it has ($2), prints how many
 * steps it has made and checked, and fails at the first that is not as it should be.
 */
const LOOP = `
dir=$1 end=$(($(date +%s) + $2)) n=0
goes_on() { [ "$(date +%s)" -lt "$end" ]; }
cd "$dir"
`;

const GIT = `
git init --quiet repository; cd repository
git config user.name torture; git config user.email torture@localhost
while goes_on; do
  mkdir -p "d$((n % 5))"
  head -c 3000 /dev/urandom | base64 >"f$((n % 20))"
  cp "f$((n % 20))" "d$((n % 5))/"
  git add --all; git commit --quiet --message "$n"; n=$((n + 1))
done
[ "$(git rev-list --count HEAD)" = "$n" ]
git fsck --strict --no-dangling
[ -z "$(git status --porcelain)" ]
echo "$n"
`;

const SQLITE = `
sqlite3 db 'PRAGMA journal_mode=WAL; CREATE TABLE rows(n INTEGER PRIMARY KEY, x BLOB)' >mode
grep -q wal mode
while goes_on; do
  sqlite3 db "BEGIN; INSERT INTO rows SELECT $n * 10 + value, randomblob(800) FROM generate_series(0, 9); COMMIT"
  n=$((n + 1))
  [ "$(sqlite3 db 'SELECT count(*) FROM rows')" = "$((n * 10))" ]
done
[ "$(sqlite3 db 'PRAGMA integrity_check')" = ok ]
echo "$n"
`;

const UNPACK = `
tree=$3
while goes_on; do
  tar --create --directory "$tree" . | tar --extract --one-top-level=unpacked
  diff --recursive "$tree" unpacked
  rm -r unpacked; n=$((n + 1))
done
echo "$n"
`;

/** The database's own user can't reach a test's directory, so it sees it at another place. */
const POSTGRESQL = `
mkdir data; chown 65534 data
mount --bind data /mnt
as="setpriv --reuid 65534 --regid 65534 --clear-groups"
cd /mnt
$as initdb --pgdata /mnt/db --data-checksums --auth trust --username x >/dev/null
$as pg_ctl --pgdata /mnt/db --wait --silent --timeout 300 --log /mnt/log --options "-c listen_addresses= -c unix_socket_directories=/mnt" start
$as pgbench --host /mnt --username x --initialize --quiet postgres 2>/dev/null
left=$((end - $(date +%s)))
$as pgbench --host /mnt --username x --client 4 --no-vacuum --time "$((left > 10 ? left : 10))" postgres >bench
sums='SELECT (SELECT sum(abalance) FROM pgbench_accounts) = all_of.delta AND (SELECT sum(tbalance) FROM pgbench_tellers) = all_of.delta
  AND (SELECT sum(bbalance) FROM pgbench_branches) = all_of.delta FROM (SELECT sum(delta) AS delta FROM pgbench_history) AS all_of'
[ "$($as psql --host /mnt --username x --no-align --tuples-only --command "$sums" postgres)" = t ]
$as pg_ctl --pgdata /mnt/db --wait --silent --timeout 300 stop
# It is no command of every user's.
"$(dirname "$(readlink --canonicalize "$(command -v postgres)")")/pg_checksums" --check --pgdata /mnt/db >/dev/null
sed -n 's/number of transactions actually processed: //p' bench
`;

/** The scripts, by program. */
export const PROGRAMS = {
  git: LOOP + GIT,
  sqlite: LOOP + SQLITE,
  unpack: LOOP + UNPACK,
  postgresql: LOOP + POSTGRESQL,
} as const;
export type Program = keyof typeof PROGRAMS;
