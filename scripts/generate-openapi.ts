/**
 * Writes docs/reference/openapi.json: `npm run docs:reference`. The daemon serves this document, and takes requests as it says; a
 * test compares it with what this makes.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Argument, Command, Option } from 'commander';
import { ERROR_STATUS } from '../src/api/errors.ts';
import type { Field, OpenApi, OpenApiRequest, Schema } from '../src/api/openapi.ts';
import { OWN_PATHS, SCHEMAS } from '../src/api/own-paths.ts';
import { ROUTES, type Route } from '../src/api/routes.ts';
import { loadCommand } from '../src/cli/registry.ts';

/** The file that is written, relative to the repository. */
export const OPENAPI = 'docs/reference/openapi.json';

/** Options that shape text, or are for a terminal. */
const NOT_FIELDS: ReadonlySet<string> = new Set([
  ...['root', 'json', 'help', 'header', 'output', 'quiet', 'null'],
  ...['tty', 'interactive', 'follow', 'yes', 'verbose', 'config'],
]);

/** Returns the document. */
export async function openApi(): Promise<OpenApi> {
  const paths: Record<string, Record<string, OpenApiRequest>> = structuredClone(OWN_PATHS);
  for (const route of ROUTES) {
    paths[route.path] = { ...paths[route.path], [route.method]: await requestOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'byref',
      version: '1',
      description:
        'The API of `byref daemon`, on a unix socket that only root can open. A request is a verb of the command line: its answer is what the verb prints with --json (json.md). Fields may be added; none is renamed.',
    },
    paths,
    components: { schemas: SCHEMAS },
  };
}

async function requestOf(route: Route): Promise<OpenApiRequest> {
  const command = await loadCommand(route.verb);
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const fixed = new Set((route.fixed ?? []).map((word) => word.replace(/^--/, '')));
  const options = command.options.filter(
    (option) =>
      !option.hidden && !NOT_FIELDS.has(option.attributeName()) && !fixed.has(option.name()),
  );
  const operands = command.registeredArguments.slice(inPath.length).map(operandField);
  const fields = Object.fromEntries([...operands, ...options.map(optionField)]);
  const required = [
    ...command.registeredArguments.slice(inPath.length).filter((each) => each.required),
  ].map(fieldName);
  const parameters = inPath.map((name) => ({
    name,
    in: 'path' as const,
    required: true,
    schema: { type: 'string' as const, minLength: 1 },
  }));
  const isQuery = route.method === 'get';
  const query = Object.entries(fields).map(([name, { schema }]) => ({
    name,
    in: 'query' as const,
    required: required.includes(name),
    schema,
  }));
  const body = {
    type: 'object' as const,
    properties: Object.fromEntries(
      Object.entries(fields).map(([name, { schema }]) => [name, schema]),
    ),
    required,
    additionalProperties: false,
  };
  const hasBody = !isQuery && Object.keys(fields).length > 0;
  return {
    operationId: operationId(route),
    summary: command.description(),
    'x-byref': {
      verb: route.verb,
      how: route.how,
      fixed: route.fixed ?? [],
      fields: Object.fromEntries(
        Object.entries(fields).map(([name, { schema: _, ...field }]) => [name, field]),
      ),
    },
    parameters: [...parameters, ...(isQuery ? query : [])],
    ...(hasBody && {
      requestBody: {
        required: required.length > 0,
        content: { 'application/json': { schema: body } },
      },
    }),
    responses: {
      ...(route.how === 'operation'
        ? {
            '202': {
              description: 'It was begun; the Location header has the address of the operation.',
              content: {
                'application/json': { schema: { $ref: '#/components/schemas/Operation' } },
              },
            },
          }
        : {
            '200': {
              description: `The value of \`byref ${route.verb} --json\`: json.md.`,
              content: { 'application/json': { schema: {} } },
            },
          }),
      default: {
        description: `An error: ${Object.entries(ERROR_STATUS)
          .map(([code, status]) => `${code} ${status}`)
          .join(', ')}.`,
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  };
}

const operationId = ({ method, path: at }: Route): string =>
  [method, ...at.replace('/v1/', '').split(/[/{}-]+/)]
    .filter((word) => word !== '')
    .map((word, i) => (i === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1)))
    .join('');

type WithSchema = readonly [name: string, field: Field & { readonly schema: Schema }];

const fieldName = (operand: Argument): string =>
  camelCase(operand.variadic ? plural(operand.name()) : operand.name());
const plural = (name: string): string => (name.endsWith('s') ? name : `${name}s`);
const camelCase = (name: string): string =>
  name
    .replace(/[^A-Za-z]+(\w)/g, (_all, letter: string) => letter.toUpperCase())
    .replace(/[^A-Za-z]/g, '');

function operandField(operand: Argument): WithSchema {
  const one: Schema = { type: 'string' };
  const schema: Schema = operand.variadic ? { type: 'array', items: one } : one;
  return [fieldName(operand), { operand: true, schema }];
}

function optionField(option: Option): WithSchema {
  const flag = option.long ?? '';
  const { description } = option;
  const takesList = option.variadic || Array.isArray(option.defaultValue) || isRepeatable(option);
  const schema: Schema = option.isBoolean()
    ? { type: 'boolean', description }
    : takesList
      ? { type: 'array', items: { type: ['string', 'number'] }, description }
      : { type: ['string', 'number'], description };
  return [option.attributeName(), { flag, ...(option.negate && { negated: true }), schema }];
}

/** Returns true for an option that each use of adds to. */
const isRepeatable = ({ description, parseArg, argChoices }: Option): boolean =>
  parseArg !== undefined &&
  argChoices === undefined &&
  /repeated|paths where|a package that/.test(description);

/** Returns the text of the file. */
export const openApiText = async (): Promise<string> =>
  `${JSON.stringify(await openApi(), null, 1)}\n`;

/** Used by the generator of the page on verbs, too. */
export type { Command };

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(path.resolve(import.meta.dirname, '..', OPENAPI), await openApiText());
}
