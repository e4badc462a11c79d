// schema.mjs SCHEMA.prisma OUTPUT : prints one JSON object: `generate`, what Prisma's CLI would ask a client generator to write to OUTPUT,
// and `sql`, what creates the schema in an empty database. It must not know LiteLLM, nor a database.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import * as glue from '@prisma/schema-engine-wasm/schema_engine_bg';

const require = createRequire(import.meta.url);
const { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } = require('@prisma/driver-adapter-utils');
const { get_config: config, get_dmmf: dmmf } = require('@prisma/prisma-schema-wasm');

const [, , schemaPath, output] = process.argv;
const datamodel = fs.readFileSync(schemaPath, 'utf8');

function generation() {
  const { generators, datasources } = JSON.parse(config(JSON.stringify({ prismaSchema: datamodel, ignoreEnvVarErrors: true })));
  const version = require('@prisma/prisma-schema-wasm/package.json').version.split('.').at(-1);
  const generator = { ...generators[0], output: { value: output, fromEnvVar: null }, binaryTargets: [] };
  const model = JSON.parse(dmmf(JSON.stringify({ prismaSchema: datamodel })));
  return { datamodel, version, generator, dmmf: model, schemaPath, datasources, otherGenerators: [] };
}

// The engine asks which PostgreSQL it writes for, and nothing else of a database.
const told = {
  provider: 'postgres', adapterName: 'none', getConnectionInfo: () => ({ schemaName: 'public', supportsRelationJoins: false }),
  queryRaw: async () => ({
    columnNames: ['exists', 'version', 'numeric_version'], columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32], rows: [[true, 'PostgreSQL 16.0', 160000]],
  }),
  executeRaw: async () => 0, executeScript: async () => {}, dispose: async () => {},
};
const nowhere = { provider: 'postgres', adapterName: 'none', connect: async () => told, connectToShadowDb: async () => told };

async function creation() {
  const code = fs.readFileSync(require.resolve('@prisma/schema-engine-wasm').replace(/schema_engine\.js$/, 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(code, { './schema_engine_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  const engine = await glue.SchemaEngine.new({}, () => {}, bindMigrationAwareSqlAdapterFactory(nowhere));
  const files = [{ path: 'schema.prisma', content: datamodel }];
  const { stdout } = await engine.diff({
    from: { tag: 'empty' }, to: { tag: 'schemaDatamodel', files }, script: true, exitCode: null, shadowDatabaseUrl: null,
    filters: { externalTables: [], externalEnums: [] },
  });
  return stdout;
}

process.stdout.write(JSON.stringify({ generate: generation(), sql: await creation() }), () => process.exit(0));
