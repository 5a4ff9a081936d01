import { VERBS } from './verbs.ts';

/** Verbs whose operands are envs, and those whose operands are templates: of a group, both words. */
const OF_ENVS = [
  ...['mount', 'umount', 'unmount', 'info', 'diff', 'df', 'destroy', 'delete', 'rm'],
  ...['pin', 'follow', 'stale', 'saved list', 'saved restore', 'saved rm', 'app add', 'app remove'],
];
const OF_TEMPLATES = [
  ...['patch', 'rollback', 'history'],
  ...['show', 'log', 'diff', 'packages', 'update', 'capture', 'rm', 'export'].map(
    (name) => `template ${name}`,
  ),
];

const words = (names: readonly string[]): string => names.join(' ');

const firstWord = (text: string): string => text.split(' ')[0] ?? text;

const topWords = (): string[] => [
  ...new Set(VERBS.flatMap(({ name, aliases }) => [name, ...aliases].map(firstWord))),
];

/** First words of verbs of two words. */
const groups = (): string[] => [
  ...new Set(VERBS.filter(({ name }) => name.includes(' ')).map(({ name }) => firstWord(name))),
];

const wordsOf = (group: string): string[] =>
  VERBS.filter(({ name }) => firstWord(name) === group && name !== group).map(({ name }) =>
    name.slice(group.length + 1),
  );

/** A pattern of bash's `case` that any of these matches. */
const anyOf = (verbs: readonly string[]): string => verbs.map((verb) => `'${verb}'`).join('|');

/** For bash: `source <(byref completion bash)`. */
export function bashScript(): string {
  const inGroups = groups().map((group) => `      ${group}) words='${words(wordsOf(group))}' ;;`);
  return `# bash completion for byref
_byref() {
  local word=\${COMP_WORDS[COMP_CWORD]} verb=\${COMP_WORDS[1]} words=''
  local last=\${COMP_WORDS[COMP_CWORD-1]} full="\${COMP_WORDS[1]}"
  [[ ' ${words(groups())} ' == *" $verb "* ]] && full="$verb \${COMP_WORDS[2]}"
  if [[ $COMP_CWORD == 1 ]]; then words='${words(topWords())}'
  elif [[ $word == -* ]]; then words=$(byref $full --help 2>/dev/null | grep -oE -- '--[a-z-]+')
  elif [[ ' ${words(groups())} ' == *" $verb "* && $COMP_CWORD == 2 ]]; then
    case $verb in
${inGroups.join('\n')}
    esac
  elif [[ $last == --os || $last == --app || $last == --base ]]; then words=$(byref template list -H -o name 2>/dev/null)
  elif [[ $last == --canary || $last == --from-env ]]; then words=$(byref list -H -o name 2>/dev/null)
  elif [[ $verb == completion ]]; then words='bash zsh fish'
  else
    case $full in
      ${anyOf(OF_ENVS)}) words=$(byref list -H -o name 2>/dev/null) ;;
      ${anyOf(OF_TEMPLATES)}) words=$(byref template list -H -o name 2>/dev/null) ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [[ \${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- "$word"))
}
complete -F _byref byref
`;
}

/** For zsh: it runs the bash function. */
export function zshScript(): string {
  return `#compdef byref
autoload -U +X bashcompinit && bashcompinit
${bashScript()}`;
}

/** For fish: `byref completion fish | source`. */
export function fishScript(): string {
  const top = VERBS.filter(({ name }) => !name.includes(' ')).map(
    ({ name, summary }) =>
      `complete -c byref -n __fish_use_subcommand -f -a ${name} -d '${summary.replaceAll("'", '')}'`,
  );
  const inGroups = groups().flatMap((group) => [
    `complete -c byref -n __fish_use_subcommand -f -a ${group} -d 'work with ${group}'`,
    `complete -c byref -n '__fish_seen_subcommand_from ${group}' -f -a '${words(wordsOf(group))}'`,
  ]);
  const envVerbs = words([...new Set(OF_ENVS.map(firstWord))]);
  return `# fish completion for byref
${[...top, ...inGroups].join('\n')}
complete -c byref -n '__fish_seen_subcommand_from ${envVerbs}' -f -a '(byref list -H -o name 2>/dev/null)'
complete -c byref -n '__fish_seen_subcommand_from patch rollback' -f -a '(byref template list -H -o name 2>/dev/null)'
complete -c byref -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'
complete -c byref -l root -r -d 'the root to work on'
complete -c byref -l json -d 'print JSON with stable names'
`;
}
