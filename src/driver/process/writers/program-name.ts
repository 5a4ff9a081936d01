/**
 * Finds what people call a running program: the name of its file; for a file that interprets another one, the
 * names of both.
 */

/** The facts about a process that the kernel tells. */
export interface Process {
  /** The path of the file that it runs. */
  readonly exe: string;
  /** Its first arguments, as far as known; the process may have changed them. */
  readonly args: readonly string[];
}

/** Describes how an interpreter is told what to run. Each pattern covers all forms of an option. */
interface Interpreter {
  readonly exe: RegExp;
  /** Matches if the program is in the command line or comes by standard input, and so has no name. */
  readonly inline: RegExp;
  /** Matches if the next argument belongs to this one. */
  readonly takesValue: RegExp;
  /** Set if its programs may put a title over their arguments, as npm does: "npm install". */
  readonly hasTitles?: true;
}

const INTERPRETERS: readonly Interpreter[] = [
  {
    exe: /^(ba|da|a|z|k|mk)?sh[\d.]*$/,
    inline: /^-[a-zA-Z]*[cs]/,
    takesValue: /^([-+][a-zA-Z]*[oO]|--rcfile|--init-file)$/,
  },
  { exe: /^perl[\d.]*$/, inline: /^-[acfgilnpstuwWX\d]*[eE]/, takesValue: /^-I$/ },
  // -m names a module, which is as good as a script.
  {
    exe: /^(python|pypy)[\d.]*$/,
    inline: /^-[a-zA-Z]*c/,
    takesValue: /^(-[WX]|--check-hash-based-pycs)$/,
  },
  {
    exe: /^(node|nodejs)$/,
    inline: /^(-e|-p|-pe|--eval|--print)(=|$)/,
    takesValue: /^(-r|-C|--require|--import|--(experimental-)?loader|--conditions|--title)$/,
    hasTitles: true,
  },
  { exe: /^ruby[\d.]*$/, inline: /^-[a-z]*e$/, takesValue: /^-[CEIr]$/ },
  { exe: /^php[\d.]*$/, inline: /^-[rRBE]$/, takesValue: /^-[cdz]$/ },
];

/** Files that are many programs in one: the arguments say which. */
const MANY_IN_ONE = /^(busybox|toybox|coreutils)$/;

const NAME_MAX = 64;

/** Returns true if the arguments are needed to name the program. */
export const isNamedByArguments = (exe: string): boolean => {
  const file = baseName(exe);
  return MANY_IN_ONE.test(file) || interpreterOf(file) !== undefined;
};

/** Returns a program's name: "dpkg", "sh install.sh", "python3 pip", "node npm"; '' for a process that runs no file. */
export function programName({ exe, args }: Process): string {
  const file = baseName(exe);
  if (MANY_IN_ONE.test(file)) return printable(oneOfMany(file, args));
  const interpreter = interpreterOf(file);
  if (interpreter === undefined) return printable(file);
  const called = baseName(args[0] ?? '').replace(/^-/, '');
  const name = interpreter.exe.test(called) ? called : file;
  const script = baseName(scriptOf(interpreter, args));
  return printable(script === '' ? name : `${name} ${script}`);
}

const interpreterOf = (file: string): Interpreter | undefined =>
  INTERPRETERS.find(({ exe }) => exe.test(file));

function oneOfMany(file: string, args: readonly string[]): string {
  const called = baseName(args[0] ?? '');
  return (called === file ? args[1] : called) ?? file;
}

function scriptOf(interpreter: Interpreter, args: readonly string[]): string {
  const { exe, inline, takesValue, hasTitles = false } = interpreter;
  const [first = ''] = args;
  if (hasTitles && !exe.test(baseName(first))) return first.split(' ', 1)[0]!;
  for (let at = 1; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === '--') return args[at + 1] ?? '';
    if (inline.test(arg)) return '';
    if (takesValue.test(arg)) at++;
    else if (!/^[-+]/.test(arg)) return isFile(arg) ? arg : '';
  }
  return '';
}

/** Returns false for a pipe and the like, which have no name of their own. */
const isFile = (arg: string): boolean => !/^(\/dev\/(stdin|fd\/)|\/proc\/)/.test(arg);

/** Returns the last part of a path, without the kernel's mark for files that no longer have a name. */
const baseName = (path: string): string =>
  path.replace(/ \(deleted\)$/, '').replace(/^.*\/(?=.)/s, '');

const printable = (text: string): string =>
  text.slice(0, NAME_MAX).replace(/[\u0000-\u001f\u007f\ud800-\udfff]/g, '?');
