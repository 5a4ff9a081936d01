/** The OpenAPI document that the daemon serves, as far as byref uses that format. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { checkout } from '../base/program-files.ts';
import type { How } from './routes.ts';

/** A JSON schema. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly minLength?: number;
  readonly minItems?: number;
  readonly minimum?: number;
  readonly enum?: readonly string[];
}

/** How a field of a request becomes words of a command. */
export interface Field {
  /** True: it is an operand. */
  readonly operand?: boolean;
  /** The option, with its dashes. */
  readonly flag?: string;
  /** True: the option says the opposite, so it is given where the field is false. */
  readonly negated?: boolean;
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required: boolean;
  readonly description?: string;
  readonly schema: Schema;
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

/** One request of the document. */
export interface OpenApiRequest {
  readonly operationId: string;
  readonly summary: string;
  /** How it is a verb; not there for requests of the daemon itself. */
  readonly 'x-byref'?: {
    readonly verb: string;
    readonly how: How;
    readonly fixed: readonly string[];
    readonly fields: Readonly<Record<string, Field>>;
  };
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean } & Content;
  readonly responses: Readonly<Record<string, { readonly description: string } & Content>>;
}

/** The document. */
export interface OpenApi {
  readonly openapi: string;
  readonly info: {
    readonly title: string;
    readonly version: string;
    readonly description: string;
  };
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiRequest>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** Reads the document. */
export const readOpenApi = (): OpenApi =>
  JSON.parse(readFileSync(path.join(checkout(), 'docs/reference/openapi.json'), 'utf8')) as OpenApi;

/** Returns the words of the command that a request is. @param values the fields of its body or query */
export function wordsOf(
  { verb, fixed, fields }: NonNullable<OpenApiRequest['x-byref']>,
  inPath: readonly string[],
  values: Readonly<Record<string, unknown>>,
): string[] {
  const options: string[] = [];
  const operands: string[] = [...inPath];
  for (const [name, field] of Object.entries(fields)) {
    const value = values[name];
    if (value === undefined) continue;
    const all = (Array.isArray(value) ? value : [value]).map(String);
    if (field.operand === true) operands.push(...all);
    else if (value === true || value === false) {
      if (value !== (field.negated ?? false)) options.push(field.flag ?? '');
    } else options.push(...all.map((each) => `${field.flag ?? ''}=${each}`));
  }
  return [...verb.split(' '), ...fixed, ...options, '--json', '--', ...operands];
}
