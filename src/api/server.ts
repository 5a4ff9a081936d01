/** The HTTP API of a daemon. Requests that are verbs are as the OpenAPI document says; those of the daemon itself are here. */
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { ByrefError } from '../base/error.ts';
import { EXIT } from '../base/exit-codes.ts';
import type { ErrorReply } from './errors.ts';
import { errorIn, errorReply, statusOf } from './errors.ts';
import type { EventLog } from './event-log.ts';
import type { OpenApi, OpenApiRequest, Schema } from './openapi.ts';
import { wordsOf } from './openapi.ts';
import type { Operations, OperationWishes } from './operations.ts';
import { type CommandRun, Declined, type RunnerLink } from './runner-link.ts';
import { followEvents, followOutput, goneSignal } from './streams.ts';

/** What the API is about. */
export interface ApiParts {
  readonly document: OpenApi;
  readonly operations: Operations;
  readonly events: EventLog;
  readonly runner: Pick<RunnerLink, 'run'>;
  /** Returns the state of the daemon's parts; `ok` is false if one does not work. */
  readonly health: () => Promise<{ readonly ok: boolean } & Readonly<Record<string, unknown>>>;
  /** Returns metrics in Prometheus's text format. */
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>;
}

const BODY_MAX = 8 * 1024 * 1024;
const UNAVAILABLE = 503;
const ACCEPTED = 202;

/** Makes the server; the caller lets it listen. */
export function apiServer(parts: ApiParts): FastifyInstance {
  const app = fastify({
    bodyLimit: BODY_MAX,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 256 },
    ajv: {
      customOptions: { coerceTypes: 'array', removeAdditional: false, allowUnionTypes: true },
    },
  });
  app.setErrorHandler((error, _request, reply) => answerError(reply, error));
  app.setNotFoundHandler((request, reply) => {
    const message = `there is no ${request.method} ${request.url.split('?')[0] ?? ''}`;
    const hint = 'See GET /openapi.json for what there is.';
    return answerError(reply, new ByrefError('notFound', message, hint));
  });
  own(app, parts);
  for (const [path, methods] of Object.entries(parts.document.paths)) {
    for (const [method, request] of Object.entries(methods)) {
      if (request['x-byref'] !== undefined) verbRoute(app, parts, path, method, request);
    }
  }
  return app;
}

/** Makes a server for /metrics and /healthz alone: its address may be one that others reach. */
export function metricsServer(parts: ApiParts): FastifyInstance {
  const app = fastify({ forceCloseConnections: true });
  publicRoutes(app, parts);
  return app;
}

function publicRoutes(app: FastifyInstance, { health, metrics }: ApiParts): void {
  app.get('/healthz', async (_request, reply) => {
    const found = await health();
    return reply.status(found.ok ? 200 : UNAVAILABLE).send(found);
  });
  app.get('/metrics', async (_request, reply) => {
    const { type, text } = await metrics();
    return reply.type(type).send(text);
  });
}

function own(app: FastifyInstance, parts: ApiParts): void {
  const { document, operations, events } = parts;
  publicRoutes(app, parts);
  app.get('/openapi.json', () => document);
  app.get<{ Querystring: { after?: string } }>('/v1/events', (request, reply) =>
    followEvents(events, request.query.after, request, reply),
  );
  app.post<{ Params: { env: string }; Body: ExecBody }>(
    '/v1/envs/:env/exec',
    { schema: { body: bodyOf(document, '/v1/envs/{env}/exec') } },
    async ({ params, body }, reply) => {
      const { code, stdout, stderr } = await whole(operations, execWords(params.env, body));
      const error = errorIn(stderr.toString('utf8'));
      if (error !== null) return reply.status(statusOf(error.error.code)).send(error);
      return reply.send({ exitCode: code, stdout: stdout.toString(), stderr: stderr.toString() });
    },
  );
  app.get('/v1/operations', () => operations.list());
  app.post<{ Body: OperationWishes }>(
    '/v1/operations',
    { schema: { body: bodyOf(document, '/v1/operations') } },
    (request, reply) => accepted(reply, operations.start(request.body)),
  );
  app.get<{ Params: { id: string }; Querystring: { wait?: string } }>(
    '/v1/operations/:id',
    (request, reply) => {
      const id = idOf(request.params.id);
      const seconds = Number(request.query.wait ?? 0);
      if (!(seconds > 0)) return operations.get(id);
      const ends = [AbortSignal.timeout(seconds * 1000), goneSignal(request.raw, reply)];
      return operations.wait(id, AbortSignal.any(ends));
    },
  );
  app.delete<{ Params: { id: string } }>('/v1/operations/:id', ({ params }) =>
    operations.cancel(idOf(params.id)),
  );
  app.get<{ Params: { id: string } }>('/v1/operations/:id/output', (request, reply) =>
    followOutput(operations, idOf(request.params.id), request, reply),
  );
}

/** A command to run in an env. */
interface ExecBody {
  readonly command: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

function execWords(env: string, { command, user, workdir, environment = {} }: ExecBody): string[] {
  return [
    'exec',
    '--json',
    ...(user === undefined ? [] : [`--user=${user}`]),
    ...(workdir === undefined ? [] : [`--workdir=${workdir}`]),
    ...Object.entries(environment).map(([name, value]) => `--env=${name}=${value}`),
    '--',
    env,
    ...command,
  ];
}

const bodyOf = ({ paths }: OpenApi, path: string): Schema | undefined =>
  paths[path]?.['post']?.requestBody?.content?.['application/json']?.schema;

function idOf(text: string): number {
  const id = Number(text);
  if (Number.isSafeInteger(id) && id > 0) return id;
  throw new ByrefError('usage', `"${text}" is no id of an operation`, 'Give its number.');
}

function verbRoute(
  app: FastifyInstance,
  { operations, runner }: ApiParts,
  path: string,
  method: string,
  request: OpenApiRequest,
): void {
  const about = request['x-byref']!;
  const names = request.parameters.filter((each) => each.in === 'path').map(({ name }) => name);
  const query = request.parameters.filter((each) => each.in === 'query');
  const body = request.requestBody?.content?.['application/json']?.schema;
  app.route<{ Params: Record<string, string>; Body: unknown; Querystring: unknown }>({
    method: method.toUpperCase(),
    url: path.replaceAll(/\{(\w+)\}/g, ':$1'),
    schema: {
      querystring: {
        type: 'object',
        additionalProperties: false,
        properties: Object.fromEntries(query.map(({ name, schema }) => [name, schema])),
        required: query.filter(({ required }) => required).map(({ name }) => name),
      },
      ...(body !== undefined && { body }),
    },
    // Where nothing has to be said, there may be no body at all.
    preValidation: (req, _reply, done) => {
      req.body ??= {};
      done();
    },
    handler: async (req, reply) => {
      const inPath = names.map((name) => req.params[name] ?? '');
      const values = method === 'get' ? req.query : (req.body ?? {});
      const words = wordsOf(about, inPath, values as Record<string, unknown>);
      if (about.how === 'operation') return accepted(reply, operations.start({ words }));
      const run =
        about.how === 'quick' ? quick(runner, operations, words) : whole(operations, words);
      return answerRun(reply, await run);
    },
  });
}

const accepted = (reply: FastifyReply, operation: { readonly id: number }): FastifyReply =>
  reply.status(ACCEPTED).header('Location', `/v1/operations/${operation.id}`).send(operation);

/** Runs words in the runner; in a process of their own if it declines. */
async function quick(
  runner: ApiParts['runner'],
  operations: Operations,
  words: readonly string[],
): Promise<CommandRun> {
  try {
    return await runner.run(words);
  } catch (error) {
    if (!(error instanceof Declined)) throw error;
    return whole(operations, words);
  }
}

/** Runs words in a process of their own, and waits for its end. */
async function whole(operations: Operations, words: readonly string[]): Promise<CommandRun> {
  const { id } = operations.start({ words });
  const { exitCode } = await operations.wait(id, new AbortController().signal);
  const files = operations.filesOf(id);
  return {
    code: exitCode ?? EXIT.error,
    stdout: Buffer.from(files.read('stdout')),
    stderr: Buffer.from(files.read('stderr')),
  };
}

function answerRun(reply: FastifyReply, { code, stdout, stderr }: CommandRun): FastifyReply {
  const error = code === EXIT.ok || code === EXIT.pending ? null : errorIn(stderr.toString('utf8'));
  if (error !== null) return reply.status(statusOf(error.error.code)).send(error);
  if (stdout.length === 0) return reply.send({ exitCode: code });
  return reply.type('application/json').send(stdout);
}

function answerError(reply: FastifyReply, error: unknown): FastifyReply {
  const status = (error as { statusCode?: number }).statusCode;
  if (!(error instanceof ByrefError) && status !== undefined && status < 500) {
    const hint = 'See GET /openapi.json for what it takes.';
    const refused: ErrorReply = errorReply(new ByrefError('usage', refusal(error), hint));
    return reply.status(status).send(refused);
  }
  const known = errorReply(error);
  return reply.status(statusOf(known.error.code)).send(known);
}

/** Returns what is wrong with a request; of a field that does not exist, with its name. */
function refusal(error: unknown): string {
  const { message, validation } = error as {
    message: string;
    validation?: readonly { params: { additionalProperty?: string } }[];
  };
  const unknown = validation?.[0]?.params.additionalProperty;
  return unknown === undefined ? message : `there is no field "${unknown}"`;
}
