import tseslint from 'typescript-eslint';

/**
 * Types are what eslint is for here: floating promises, unsafe values, impossible conditions. Layout and
 * import order are biome's.
 */
export default tseslint.config(
  {
    ignores: [
      'dist/',
      '.setup/',
      'native/build/',
      'test/syscalls/build/',
      '*.config.js',
      '*.cjs',
      'bench/results/',
    ],
  },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // Numbers in messages are the rule here: inos, sizes, errnos.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // `() => void stop()` and `() => counter++` say what they mean.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // `array[i]!` behind a bounds check is how the byte-level code is written.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // There are no enums here, and to look for them takes a tenth of the time.
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
    },
  },
  {
    // Text from envs is made harmless in one place.
    files: ['src/**/*.ts'],
    ignores: ['src/cli/{print,progress,ask}.ts', 'src/driver/process/process.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector:
            'MemberExpression[object.object.name="process"][object.property.name=/^std(out|err)$/][property.name="write"]',
          message:
            'Print by src/cli/print.ts: names come from envs, and can hold control characters.',
        },
      ],
    },
  },
  {
    // Tests build half-typed things on purpose, and implement async interfaces that need not wait.
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      '@typescript-eslint/require-await': 'off',
      // vitest's matchers (expect.stringMatching) are of type any.
      '@typescript-eslint/no-unsafe-assignment': 'off',
    },
  },
);
