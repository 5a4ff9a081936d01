/**
 * Checks types and lints, as `tsc --noEmit` and `eslint --max-warnings 0 .` do one after the other, but on one TypeScript program:
 * most of what the second would take is what the first has found out already. Prints `{ types, lint }`, what each of them would
 * have printed.
 */
import path from 'node:path';
import { ESLint } from 'eslint';
import ts from 'typescript';

const ROOT = path.resolve(import.meta.dirname, '..');
process.chdir(ROOT);

const host = {
  getCanonicalFileName: (file) => file,
  getCurrentDirectory: () => ROOT,
  getNewLine: () => '\n',
};
const { config } = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), ts.sys.readFile);
const { fileNames, options, errors } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
const program = ts.createProgram(fileNames, options);
const types = ts.formatDiagnostics([...errors, ...ts.getPreEmitDiagnostics(program)], host);

const eslint = new ESLint({
  overrideConfig: {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { project: null, programs: [program] } },
  },
});
const formatter = await eslint.loadFormatter();
const lint = await formatter.format(await eslint.lintFiles(['.']));
process.stdout.write(JSON.stringify({ types, lint }));
