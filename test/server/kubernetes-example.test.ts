import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { KEY_FILES } from '../../src/server/keys.ts';
import { checkListen, SETTINGS_FILE, settingsSchema } from '../../src/server/settings.ts';
import { ROOT } from '../support/cli.ts';

const text = readFileSync(join(ROOT, 'examples/kubernetes/aggregator.yaml'), 'utf8');
const objects = parseAllDocuments(text).map((document) => {
  expect(document.errors).toEqual([]);
  return z.looseObject({ kind: z.string() }).parse(document.toJS());
});

function objectOf<Schema extends z.ZodType>(kind: string, schema: Schema): z.output<Schema> {
  return schema.parse(objects.find((object) => object.kind === kind));
}

const texts = z.record(z.string(), z.string());
const settingsText = objectOf('ConfigMap', z.object({ data: texts })).data[SETTINGS_FILE] ?? '';
const settings = settingsSchema.parse(parse(settingsText.replaceAll(/<[^>]*>/g, 'example')));
const secret = objectOf('Secret', z.object({ stringData: texts })).stringData;

test('the settings are ones that replicas can serve by', () => {
  expect(() => checkListen(settings)).not.toThrow();
  expect(settings.blobs.kind).toBe('s3');
});

test('every secret that the pods take is there, the keys under their names in the folder', () => {
  const ref = z.object({
    name: z.string(),
    valueFrom: z.object({ secretKeyRef: z.object({ key: z.string() }) }),
  });
  const container = z.object({ env: z.array(ref), ports: z.array(z.object({ containerPort: z.number() })) });
  const mounted = z.object({
    secret: z.object({ items: z.array(z.object({ key: z.string(), path: z.string() })) }),
  });
  const sources = z.tuple([z.unknown(), mounted]);
  const pod = z.object({
    containers: z.tuple([container]),
    volumes: z.tuple([z.object({ projected: z.object({ sources }) })]),
  });
  const { spec } = objectOf(
    'Deployment',
    z.object({ spec: z.object({ template: z.object({ spec: pod }) }) }),
  );
  const { containers, volumes } = spec.template.spec;
  const [{ env, ports }] = containers;
  const { items } = volumes[0].projected.sources[1].secret;
  expect(items.map(({ path }) => path)).toEqual(Object.values(KEY_FILES));
  for (const { name, valueFrom } of env) expect(valueFrom.secretKeyRef.key).toBe(name);
  const taken = [...items.map(({ key }) => key), ...env.map(({ name }) => name)];
  expect(Object.keys(secret)).toEqual(taken);
  expect(ports[0]?.containerPort).toBe(settings.listen.port);
});
