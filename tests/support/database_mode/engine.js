'use strict';
// Takes the place of Prisma's native `query-engine`: LiteLLM's Prisma client sends GraphQL over HTTP, and Prisma's own engine,
// compiled to WebAssembly, answers over `pg`. It must not know LiteLLM.
process.title = 'query-engine'; // LiteLLM ends orphans of this name

const fs = require('node:fs');
const http = require('node:http');
const { text } = require('node:stream/consumers');
const { parse, valueFromASTUntyped } = require('graphql');
const pg = require('pg');
const { PrismaPg } = require('@prisma/adapter-pg');
const { bindAdapter } = require('@prisma/driver-adapter-utils');
const wasm = require('@prisma/client/runtime/query_engine_bg.postgresql.js');
const { wasm: code } = require('@prisma/client/runtime/query_engine_bg.postgresql.wasm-base64.js');

const schema = fs.readFileSync(process.env.PRISMA_DML_PATH, 'utf8');
const port = Number(process.argv[process.argv.indexOf('-p') + 1]);
const ACTION = /^(findUnique|findFirst|findMany|createOne|createMany|updateOne|updateMany|deleteOne|deleteMany|upsertOne|aggregate|groupBy)(\w+?)(OrThrow)?$/;

// Model -> field -> type. GraphQL writes the value of a Json field as text; the engine must be told which text is meant so.
const models = {};
for (const [, model, body] of schema.matchAll(/^model\s+(\w+)\s*\{(.*?)^\}/gms)) {
  models[model] = Object.fromEntries([...body.matchAll(/^\s*(\w+)\s+(\w+)/gm)].map(([, field, type]) => [field, type]));
}

function asJson(value, key) {
  if (typeof value === 'string') return key === 'path' || key === 'mode' ? value : { $type: 'Json', value };
  if (Array.isArray(value)) return key === 'path' ? value : value.map((item) => asJson(item));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, asJson(item, name)]));
}

function typed(value, model) {
  if (Array.isArray(value)) return value.map((item) => typed(item, model));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => {
    const type = models[model]?.[name];
    return [name, type === 'Json' ? asJson(item) : typed(item, type in models ? type : model)];
  }));
}

function queryOf(field, model) {
  const selection = {};
  for (const inner of field.selectionSet?.selections ?? []) {
    const type = models[model]?.[inner.name.value];
    const plain = !inner.selectionSet && !inner.arguments.length;
    selection[inner.name.value] = plain || queryOf(inner, type in models ? type : model);
  }
  const given = Object.fromEntries(field.arguments.map((one) => [one.name.value, valueFromASTUntyped(one.value)]));
  return { arguments: model ? typed(given, model) : given, selection };
}

function translate(source) {
  const field = parse(source, { noLocation: true }).definitions[0].selectionSet.selections[0];
  const root = field.name.value;
  const named = (field.alias ?? field.name).value;
  if (root.endsWith('Raw')) return { named, read: rawRows, request: { action: root, query: queryOf(field) } };
  const [, action, modelName, orThrow = ''] = ACTION.exec(root);
  return { named, read: plain, request: { modelName, action: action + orThrow, query: queryOf(field, modelName) } };
}

// Raw rows as engines before 5.14 wrote them, which this client expects.
const rawValue = (type, value) => (value === null ? { prisma__type: 'null', prisma__value: null }
  : type.endsWith('-array') ? { prisma__type: 'array', prisma__value: value.map((item) => rawValue(type.slice(0, -6), item)) }
    : { prisma__type: type, prisma__value: value });
const rawRows = (value) => (value.rows ?? value).map?.(
  (row) => Object.fromEntries(value.columns.map((column, i) => [column, rawValue(value.types[i], row[i])]))) ?? value; // a count

function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  if (value.$type) return ['BigInt', 'Decimal'].includes(value.$type) ? Number(value.value) : value.value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}
const answer = (result, { named, read }) => (result.errors ? result : { data: { [named]: read(Object.values(result.data)[0]) } });

// PostgreSQL's catalogue types ("char", name, regclass, interval ...) that the adapter refuses and the native engine reads as text.
const AS_TEXT = { 18: 25, 19: 25, 705: 25, 1186: 25, 2205: 25, 2206: 25, 3220: 25, 1002: 1009, 1003: 1009 };
for (const array of [1002, 1003]) pg.types.setTypeParser(array, pg.types.getTypeParser(1009));

function readCatalogueTypes(adapter) {
  const queryable = Object.getPrototypeOf(Object.getPrototypeOf(adapter));
  const { performIO } = queryable;
  queryable.performIO = async function performed(query) {
    const result = await performIO.call(this, query);
    for (const field of result.fields ?? []) field.dataTypeID = AS_TEXT[field.dataTypeID] ?? field.dataTypeID;
    return result;
  };
}

async function connected() {
  const connectionString = process.env.OVERWRITE_DATASOURCES ? JSON.parse(process.env.OVERWRITE_DATASOURCES)[0].url
    : process.env.DATABASE_URL;
  const max = Number(/[?&]connection_limit=(\d+)/.exec(connectionString)?.[1] ?? 10);
  const adapter = await new PrismaPg({ connectionString, max, options: '-c timezone=UTC' }).connect();
  readCatalogueTypes(adapter);
  const { instance } = await WebAssembly.instantiate(Buffer.from(code, 'base64'), { './query_engine_bg.js': wasm });
  wasm.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  const settings = { datamodel: schema, engineProtocol: 'json', logLevel: 'error', logQueries: false, enableTracing: false };
  const engine = new wasm.QueryEngine(settings, () => {}, bindAdapter(adapter));
  await engine.connect('{}', '1');
  return engine;
}

async function query(engine, body, transaction) {
  const asked = JSON.parse(body);
  const run = async (request) => JSON.parse(await engine.query(JSON.stringify(request), '{}', transaction, '1'));
  if (!asked.batch) {
    const one = translate(asked.query);
    return answer(await run(one.request), one);
  }
  const all = asked.batch.map((item) => translate(item.query));
  const together = asked.transaction && !transaction ? {} : undefined;
  const result = await run({ batch: all.map((one) => one.request), transaction: together });
  return result.errors ? result : { batchResult: result.batchResult.map((item, i) => answer(item, all[i])) };
}

async function served(engine, { url, headers }, body) {
  const [, start, id, end] = /^\/transaction\/(?:(start)|([^/]+)\/(commit|rollback))$/.exec(url) ?? [];
  if (start) return JSON.parse(await engine.startTransaction(body, '{}', '1'));
  if (end) return JSON.parse((await engine[`${end}Transaction`](id, '{}', '1')) ?? '{}');
  if (url === '/') return query(engine, body, headers['x-transaction-id']);
  return url === '/status' ? { status: 'ok' } : { counters: [], gauges: [], histograms: [] };
}

connected().then((engine) => {
  const server = http.createServer(async (request, response) => {
    let told;
    try {
      told = await served(engine, request, await text(request));
    } catch (error) {
      console.error(error);
      const failure = { is_panic: true, message: String(error), meta: {}, error_code: 'P0000' };
      told = { errors: [{ error: String(error), user_facing_error: failure }] };
    }
    response.writeHead(told.error_code ? 500 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(told));
  });
  Object.assign(server, { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }); // the client keeps its connections
  server.listen(port, 'localhost');
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
});
