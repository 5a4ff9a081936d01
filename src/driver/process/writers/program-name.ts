/** What people call a running program: by its file, and where that only interprets another, by both. */

/** What the kernel tells of a process. */
export interface Process {
  /** Path of the file that it runs. */
  readonly exe: string;
  /** Its first arguments, as far as they are known; it may have changed them. */
  readonly args: readonly string[];
}

/** How an interpreter is told what to run; all of an option's forms are one pattern. */
interface Interpreter {
  readonly exe: RegExp;
  /** The program is in the command line or comes by standard input: it has no name. */
  readonly inline: RegExp;
  /** The next argument belongs to it. */
  readonly takesValue: RegExp;
  /** Its programs may put a title over their arguments, as npm does: "npm install". */
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

/** One file that is many programs: which one, its arguments say. */
const MANY_IN_ONE = /^(busybox|toybox|coreutils)$/;

const NAME_MAX = 64;

/** True if the arguments are needed for its name. */
export const isNamedByArguments = (exe: string): boolean => {
  const file = baseName(exe);
  return MANY_IN_ONE.test(file) || interpreterOf(file) !== undefined;
};

/** "dpkg", "sh install.sh", "python3 pip", "node npm"; '' of a process that runs no file. */
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

/** A pipe has no name of its own. */
const isFile = (arg: string): boolean => !/^(\/dev\/(stdin|fd\/)|\/proc\/)/.test(arg);

/** The kernel marks files that have no name any more. */
const baseName = (path: string): string =>
  path.replace(/ \(deleted\)$/, '').replace(/^.*\/(?=.)/s, '');

const printable = (text: string): string =>
  text.slice(0, NAME_MAX).replace(/[\u0000-\u001f\u007f\ud800-\udfff]/g, '?');
