import { VERBS } from './verbs.ts';

/** Verbs whose operands are envs (OF_ENVS) or templates (OF_TEMPLATES); in a group, both words. */
const OF_ENVS = [
  ...['mount', 'umount', 'unmount', 'info', 'diff', 'df', 'destroy', 'delete', 'rm'],
  ...['pin', 'follow', 'freeze', 'pause', 'thaw', 'move', 'unpause', 'stale', 'checkpoint'],
  ...['saved list', 'saved restore', 'saved rm', 'app add', 'app remove'],
  ...['snapshot', 'snapshot list', 'snapshot restore', 'snapshot rm', 'snapshot diff'],
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

/** Returns the first words of two-word verbs. */
const groups = (): string[] => [
  ...new Set(VERBS.filter(({ name }) => name.includes(' ')).map(({ name }) => firstWord(name))),
];

const wordsOf = (group: string): string[] =>
  VERBS.filter(({ name }) => firstWord(name) === group && name !== group).map(({ name }) =>
    name.slice(group.length + 1),
  );

/** Returns a pattern for bash's `case` that matches any of the verbs. */
const anyOf = (verbs: readonly string[]): string => verbs.map((verb) => `'${verb}'`).join('|');

/** Options whose value is one of a few words. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  '--kind': ['os', 'app'],
  '--transport': ['kernel', 'fuse-native'],
  '--health-on': ['env', 'host'],
};

/** Lists templates of the root that the command line names. */
const TEMPLATES = `byref "\${root[@]}" template list`;

/** Returns a shell command for the names of templates of one kind. @param list the command that lists all */
const ofKind = (list: string, kind: string): string =>
  `${list} -H -o kind,name 2>/dev/null | sed -n 's/^${kind}[[:blank:]]*//p'`;

/** Returns the script for bash: `source <(byref completion bash)`. */
export function bashScript(): string {
  const inGroups = groups().map((group) => `      ${group}) words='${words(wordsOf(group))}' ;;`);
  const choices = Object.entries(CHOICES).map(
    ([option, values]) => `    ${option}) words='${words(values)}' ;;`,
  );
  return `# bash completion for byref
_byref() {
  local word=\${COMP_WORDS[COMP_CWORD]} last=\${COMP_WORDS[COMP_CWORD-1]} words='' i
  local -a plain=() root=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      --root) root=(--root "\${COMP_WORDS[++i]}") ;;
      -*) ;;
      *) plain+=("\${COMP_WORDS[i]}") ;;
    esac
  done
  COMPREPLY=()
  if [[ $last == --root ]]; then
    COMPREPLY=($(compgen -d -- "$word"))
    return
  fi
  local asked=''
  [[ \${plain[0]:-} == help ]] && asked=1 && plain=("\${plain[@]:1}")
  local verb=\${plain[0]:-} full=\${plain[0]:-} group=''
  [[ -n $verb && ' ${words(groups())} ' == *" $verb "* ]] && group=1 && full="$verb \${plain[1]:-}"
  case $last in
    --os|--base) words=$(${ofKind(TEMPLATES, 'os')}) ;;
    --app) words=$(${ofKind(TEMPLATES, 'app')}) ;;
    --config) words=$(byref profile list -q 2>/dev/null) ;;
    --canary|--from-env) words=$(byref "\${root[@]}" list -H -o name 2>/dev/null) ;;
${choices.join('\n')}
  esac
  if [[ -n $words ]]; then :
  elif [[ -z $verb ]]; then
    words='${words(topWords())}'
    [[ -n $asked ]] || words="$words help"
    [[ $word == -* ]] && words='--root --json --help --version'
  elif [[ -n $group && \${#plain[@]} == 1 ]]; then
    case $verb in
${inGroups.join('\n')}
    esac
  elif [[ -n $asked ]]; then return
  elif [[ $word == -* ]]; then words=$(byref $full --help 2>/dev/null | sed -nE 's/^ +(-[a-zA-Z], )?(--[a-z-]+).*/\\2/p')
  elif [[ $verb == completion ]]; then words='bash zsh fish'
  else
    case $full in
      ${anyOf(OF_ENVS)}) words=$(byref "\${root[@]}" list -H -o name 2>/dev/null) ;;
      ${anyOf(OF_TEMPLATES)}) words=$(byref "\${root[@]}" template list -H -o name 2>/dev/null) ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [[ \${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- "$word"))
}
complete -F _byref byref
`;
}

/** Returns the script for zsh, which runs the bash function. */
export function zshScript(): string {
  return `#compdef byref
autoload -U +X bashcompinit && bashcompinit
${bashScript()}`;
}

/** Returns the script for fish: `byref completion fish | source`. */
export function fishScript(): string {
  const top = VERBS.filter(({ name }) => !name.includes(' ')).map(
    ({ name, summary }) =>
      `complete -c byref -n __fish_use_subcommand -f -a ${name} -d '${summary.replaceAll("'", '')}'`,
  );
  const inGroups = groups().flatMap((group) => [
    `complete -c byref -n __fish_use_subcommand -f -a ${group} -d 'work with ${group}'`,
    `complete -c byref -n '__fish_seen_subcommand_from ${group}' -f -a '${words(wordsOf(group))}'`,
  ]);
  const choices = Object.entries(CHOICES).map(
    ([option, values]) => `complete -c byref -l ${option.slice(2)} -x -a '${words(values)}'`,
  );
  const envVerbs = words([...new Set(OF_ENVS.map(firstWord))]);
  return `# fish completion for byref
${[...top, ...inGroups].join('\n')}
complete -c byref -n '__fish_seen_subcommand_from ${envVerbs}' -f -a '(byref list -H -o name 2>/dev/null)'
complete -c byref -n '__fish_seen_subcommand_from patch rollback' -f -a '(byref template list -H -o name 2>/dev/null)'
complete -c byref -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'
complete -c byref -n __fish_use_subcommand -f -a help -d 'show what a command does'
complete -c byref -n '__fish_seen_subcommand_from help' -f -a '${words(topWords())}'
complete -c byref -l root -x -a '(__fish_complete_directories)' -d 'the root to work on'
complete -c byref -n '__fish_seen_subcommand_from create' -l os -x -a "(${ofKind('byref template list', 'os')})"
complete -c byref -n '__fish_seen_subcommand_from template' -l base -x -a "(${ofKind('byref template list', 'os')})"
complete -c byref -n '__fish_seen_subcommand_from create template' -l app -x -a "(${ofKind('byref template list', 'app')})"
${choices.join('\n')}
complete -c byref -l json -d 'print JSON with stable names'
`;
}
