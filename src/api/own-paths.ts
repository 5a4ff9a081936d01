/** The requests that are the daemon's own and no verbs, for the OpenAPI document. */
import type { OpenApiRequest, Schema } from './openapi.ts';

const text: Schema = { type: 'string' };
const textOrNull: Schema = { type: ['string', 'null'] };

/** The schemas that requests refer to. */
export const SCHEMAS: Readonly<Record<string, Schema>> = {
  Operation: {
    type: 'object',
    required: [
      'id',
      'words',
      'state',
      'started',
      'ended',
      'exitCode',
      'progress',
      'result',
      'error',
    ],
    properties: {
      id: { type: 'integer', description: 'Unique until the machine boots.' },
      words: { type: 'array', items: text, description: 'The command.' },
      state: {
        type: 'string',
        enum: ['running', 'done', 'failed', 'cancelled', 'lost'],
        description: 'lost: its process ended, and nobody saw how.',
      },
      pid: { type: ['integer', 'null'] },
      started: text,
      ended: textOrNull,
      exitCode: { type: ['integer', 'null'] },
      progress: {
        type: ['object', 'null'],
        description: 'json.md, "Progress".',
      },
      result: { description: 'What the verb prints with --json; null before it has ended.' },
      error: { type: ['object', 'null'], description: 'Its error; null if there is none.' },
    },
  },
  Error: {
    type: 'object',
    required: ['error'],
    properties: {
      error: {
        type: 'object',
        required: ['code', 'exitCode', 'message', 'hint'],
        properties: {
          code: { type: 'string', description: 'exit-codes.md, by name.' },
          exitCode: { type: 'integer' },
          message: text,
          hint: text,
        },
      },
    },
  },
  Event: {
    type: 'object',
    required: ['number', 'at', 'what'],
    properties: {
      number: { type: 'integer', description: 'Counts from the start of the daemon.' },
      at: text,
      what: { type: 'string', description: 'Such as env.started: daemon.md.' },
    },
  },
};

const answer = (description: string, type: string, schema: Schema) => ({
  '200': { description, content: { [type]: { schema } } },
});

const JSON_TYPE = 'application/json';
const operation: Schema = { $ref: '#/components/schemas/Operation' };
const id = {
  name: 'id',
  in: 'path',
  required: true,
  schema: { type: 'integer', minimum: 1 },
} as const;

const query = (name: string, description: string, schema: Schema) =>
  ({ name, in: 'query', required: false, description, schema }) as const;

/** By path and method. */
export const OWN_PATHS: Record<string, Record<string, OpenApiRequest>> = {
  '/healthz': {
    get: {
      operationId: 'getHealth',
      summary: 'Say whether the daemon and its parts work; 503 if not.',
      parameters: [],
      responses: answer('It works.', JSON_TYPE, { type: 'object' }),
    },
  },
  '/metrics': {
    get: {
      operationId: 'getMetrics',
      summary: 'Return metrics for Prometheus.',
      parameters: [],
      responses: answer('Metrics.', 'text/plain', text),
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'getOpenApi',
      summary: 'Return this document.',
      parameters: [],
      responses: answer('This document.', JSON_TYPE, { type: 'object' }),
    },
  },
  '/v1/envs/{env}/exec': {
    post: {
      operationId: 'postEnvsEnvExec',
      summary: 'Run a command in a running env, without input, and return what it printed.',
      parameters: [{ name: 'env', in: 'path', required: true, schema: text }],
      requestBody: {
        required: true,
        content: {
          [JSON_TYPE]: {
            schema: {
              type: 'object',
              required: ['command'],
              additionalProperties: false,
              properties: {
                command: { type: 'array', items: text, minItems: 1 },
                user: { type: 'string', description: 'NAME or UID, with :GROUP or :GID (root).' },
                workdir: text,
                environment: { type: 'object', additionalProperties: { type: 'string' } },
              },
            },
          },
        },
      },
      responses: answer('How it ended, and what it printed, as text.', JSON_TYPE, {
        type: 'object',
        required: ['exitCode', 'stdout', 'stderr'],
        properties: { exitCode: { type: 'integer' }, stdout: text, stderr: text },
      }),
    },
  },
  '/v1/events': {
    get: {
      operationId: 'getEvents',
      summary: 'Follow what happens: one line of JSON for each event, or server-sent events.',
      parameters: [
        query('after', 'Begin after the event of this number, as far as they are kept.', {
          type: 'integer',
        }),
      ],
      responses: answer('Events, as they come.', 'application/x-ndjson', {
        $ref: '#/components/schemas/Event',
      }),
    },
  },
  '/v1/operations': {
    get: {
      operationId: 'getOperations',
      summary: 'List operations, newest first.',
      parameters: [],
      responses: answer('Operations.', JSON_TYPE, { type: 'array', items: operation }),
    },
    post: {
      operationId: 'postOperations',
      summary: 'Begin an operation by its words, as on the command line.',
      parameters: [],
      requestBody: {
        required: true,
        content: {
          [JSON_TYPE]: {
            schema: {
              type: 'object',
              required: ['words'],
              additionalProperties: false,
              properties: {
                words: { type: 'array', items: text },
                cwd: { type: 'string', description: 'Its working directory (/).' },
                environment: {
                  type: 'object',
                  description: 'All of its environment (the daemon’s).',
                },
                terminals: {
                  type: 'array',
                  items: { type: 'string', enum: ['stdout', 'stderr'] },
                  description: 'Which of its streams are shown on a terminal.',
                },
              },
            },
          },
        },
      },
      responses: {
        '202': {
          description: 'It was begun.',
          content: { [JSON_TYPE]: { schema: operation } },
        },
      },
    },
  },
  '/v1/operations/{id}': {
    get: {
      operationId: 'getOperation',
      summary: 'Return an operation.',
      parameters: [
        id,
        query('wait', 'Wait until it has ended, at most this many seconds.', { type: 'number' }),
      ],
      responses: answer('The operation.', JSON_TYPE, operation),
    },
    delete: {
      operationId: 'deleteOperation',
      summary: 'Cancel an operation, as Ctrl-C does; a second time, more firmly.',
      parameters: [id],
      responses: answer('The operation.', JSON_TYPE, operation),
    },
  },
  '/v1/operations/{id}/output': {
    get: {
      operationId: 'getOperationOutput',
      summary:
        'Follow what an operation prints: lines of JSON, {"stdout": BASE64}, {"stderr": BASE64}, and at its end {"exitCode": N}.',
      parameters: [id],
      responses: answer('What it prints, as it comes.', 'application/x-ndjson', {
        type: 'object',
      }),
    },
  },
};
