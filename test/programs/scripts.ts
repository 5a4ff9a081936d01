/** What programs do in an env, each as a bash script that fails if anything is not as it must be. */
export const SCRIPTS = {
  'dpkg --verify finds every packaged file as it was packed': `
    changed=$(dpkg --verify)
    [ -z "$changed" ] || { echo "$changed" >&2; exit 1; }`,

  'apt-get installs a package, which then runs and verifies': `
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends hello >/dev/null
    [ "$(hello)" = 'Hello, world!' ]
    [ -z "$(dpkg --verify hello)" ]
    apt-get remove -y -qq hello >/dev/null
    ! command -v hello`,

  'git clones, commits, collects garbage, and checks': `
    cd /srv && rm -rf origin clone
    git config --global user.email t@example.org && git config --global user.name t
    git init -q origin && cd origin
    for i in $(seq 300); do mkdir -p d$((i % 10)); echo "file $i" > d$((i % 10))/f$i; done
    git add . && git commit -qm one
    git clone -q . ../clone && cd ../clone
    [ -z "$(git status --porcelain)" ]
    echo changed >> d1/f1 && rm d2/f2 && mv d3 moved
    [ "$(git status --porcelain -uall | wc -l)" = 62 ]
    git add -A && git commit -qm two && git push -q origin HEAD:refs/heads/two
    git gc -q --aggressive && git fsck --full --strict
    git worktree add -q ../tree two && [ "$(ls ../tree/moved | wc -l)" = 30 ]
    [ -z "$(git status --porcelain)" ]`,

  'gcc and make build what runs': `
    rm -rf /srv/build && mkdir /srv/build && cd /srv/build
    for i in $(seq 40); do echo "int f$i(int x) { return x + $i; }" > f$i.c; done
    { seq 40 | sed 's/.*/int f&(int);/'; echo '#include <stdio.h>'; echo 'int main(void) { int x = 0;'
      seq 40 | sed 's/.*/x = f&(x);/'; echo 'printf("%d\\n", x); return 0; }'; } > main.c
    printf 'OBJECTS = $(patsubst %%.c,%%.o,$(wildcard *.c))\\nprogram: $(OBJECTS)\\n\\tgcc -o $@ $^\\n' > Makefile
    make -s -j4 && [ "$(./program)" = 820 ]
    make -q
    sleep 0.02; touch f7.c; ! make -q
    make -s && ar rcs lib.a f*.o && gcc -o other main.o lib.a && [ "$(./other)" = 820 ]`,

  'SQLite in WAL mode, several processes at once': `
    rm -rf /srv/db && mkdir /srv/db && cd /srv/db
    sqlite3 t.db 'pragma journal_mode=wal; create table t(id integer primary key, who, at);' >/dev/null
    writer() { for i in $(seq 60); do sqlite3 -cmd '.timeout 30000' t.db "insert into t(who, at) values($1, $i);"; done; }
    for w in 1 2 3 4; do writer $w & pids="\${pids:-} $!"; done
    for i in $(seq 20); do sqlite3 -cmd '.timeout 30000' t.db 'select count(*) from t;' >/dev/null; done
    for pid in $pids; do wait $pid; done
    [ "$(sqlite3 t.db 'select count(*), count(distinct who) from t;')" = '240|4' ]
    [ "$(sqlite3 t.db 'pragma wal_checkpoint(truncate); pragma integrity_check;' | tail -1)" = ok ]`,

  'PostgreSQL: initdb, pgbench, a crash and recovery': `
    bin=$(echo /usr/lib/postgresql/*/bin); data=/srv/pg; rm -rf $data
    install -d -o postgres $data /run/pg
    pg() { setpriv --reuid postgres --regid postgres --init-groups env PGHOST=/run/pg "$@"; }
    start() { pg $bin/pg_ctl -s -w -t 60 -D $data -l $data/log -o '-k /run/pg -c listen_addresses=' start; }
    pg $bin/initdb -D $data -A trust --locale=C >/dev/null
    start || { cat $data/log >&2; exit 1; }
    pg $bin/createdb bench && pg $bin/pgbench -q -i -s 2 bench 2>/dev/null
    pg $bin/pgbench -c 4 -j 2 -t 100 bench >/dev/null
    pg $bin/pg_ctl -s -m immediate -D $data stop
    start || { cat $data/log >&2; exit 1; }
    [ "$(pg $bin/psql -Atc 'select count(*) from pgbench_history' bench)" = 400 ]
    pg $bin/psql -q -c 'vacuum full' -c 'create index on pgbench_history(tid)' -c checkpoint bench
    pg $bin/pg_ctl -s -m fast -D $data stop`,
} as const;
