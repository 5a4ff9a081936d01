import { VERBS } from './verbs.ts';

/** Verbs whose operands are envs, and those whose operands are templates. */
const OF_ENVS = ['mount', 'umount', 'unmount', 'info', 'diff', 'df', 'destroy', 'delete', 'rm'];
const OF_TEMPLATES = ['show', 'diff', 'rm', 'export'];

const words = (names: readonly string[]): string => names.join(' ');

const topWords = (): string[] => [
  ...new Set(VERBS.flatMap(({ name, aliases }) => [name, ...aliases].map(firstWord))),
];

const templateWords = (): string[] =>
  VERBS.filter(({ name }) => name.startsWith('template ')).map(({ name }) => name.slice(9));

const firstWord = (text: string): string => text.split(' ')[0] ?? text;

/** For bash: `source <(byref completion bash)`. */
export function bashScript(): string {
  return `# bash completion for byref
_byref() {
  local word=\${COMP_WORDS[COMP_CWORD]} verb=\${COMP_WORDS[1]} words=''
  if [[ $COMP_CWORD == 1 ]]; then words='${words(topWords())}'
  elif [[ $word == -* ]]; then words=$(byref "$verb" --help 2>/dev/null | grep -oE -- '--[a-z-]+')
  elif [[ $verb == template && $COMP_CWORD == 2 ]]; then words='${words(templateWords())}'
  elif [[ $verb == template && ' ${words(OF_TEMPLATES)} ' == *" \${COMP_WORDS[2]} "* ]]; then
    words=$(byref template list -H -o name 2>/dev/null)
  elif [[ \${COMP_WORDS[COMP_CWORD-1]} == --os || \${COMP_WORDS[COMP_CWORD-1]} == --app ]]; then
    words=$(byref template list -H -o name 2>/dev/null)
  elif [[ $verb == completion ]]; then words='bash zsh fish'
  elif [[ ' ${words(OF_ENVS)} ' == *" $verb "* ]]; then words=$(byref list -H -o name 2>/dev/null)
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
  return `# fish completion for byref
${top.join('\n')}
complete -c byref -n __fish_use_subcommand -f -a template -d 'work with templates'
complete -c byref -n '__fish_seen_subcommand_from template' -f -a '${words(templateWords())}'
complete -c byref -n '__fish_seen_subcommand_from ${words(OF_ENVS)}' -f -a '(byref list -H -o name 2>/dev/null)'
complete -c byref -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'
complete -c byref -l root -r -d 'the root to work on'
complete -c byref -l json -d 'print JSON with stable names'
`;
}
