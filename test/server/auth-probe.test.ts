import { expect, test } from 'vitest';
import { encode } from 'cborg';
import { sha256 } from '../../src/core/digest.ts';
import { openTestAggregator, tinyPlan, freshIdentity, ADMIN_KEY } from '../support/test-aggregator.ts';
import { TestRun, adminInject, refusalIn, signedInject } from '../support/signed-inject.ts';

test('probe', async () => {
  const failures: any[] = [];
  const t = await openTestAggregator({ limits: { chunkBytes: 65536, anonymousPerMinute: 5, perKeyPerMinute: 100000 } });
  const run = await TestRun.create(t);
  const a = await run.join('a'); const b = await run.join('b');
  const say = (n: string, r: any) => console.log(n, r.statusCode, r.payload.slice(0, 300), JSON.stringify(r.headers).slice(0,0));
  say('big round', await run.send(a, { method: 'GET', path: run.path('/models/999999999999999/parameters?offset=0&length=5') }));
  say('big submit', await run.submit(a, { round: 2 ** 53 - 1, step: 0, digest: 'aa'.repeat(32) }));
  say('big step', await run.submit(a, { round: 1, step: 2 ** 53 - 1, digest: 'aa'.repeat(32) }));
  say('big score', await run.send(a, { method: 'POST', path: run.path('/scores'), body: { round: 2 ** 40, model: 'aa'.repeat(32), alignment: 1, questions: 1, loss: null } }));
  const task = await run.task(a);
  say('big questions', await run.send(a, { method: 'POST', path: run.path('/scores'), body: { round: 0, model: task.model.model, alignment: 1, questions: 2 ** 40, loss: null } }));
  say('denormal loss', await run.send(a, { method: 'POST', path: run.path('/scores'), body: { round: 0, model: task.model.model, alignment: 5e-324, questions: 1, loss: 5e-324 } }));
  for (const m of [a, b]) say('huge loss', await run.send(m, { method: 'POST', path: run.path('/scores'), body: { round: 0, model: task.model.model, alignment: 1, questions: 1, loss: 1.7e308 } }));
  say('status', await t.app.inject({ method: 'GET', url: run.path('') }));
  const nul = encode({ format: 2, run: 'r', group: 'x\u0000', round: 1, step: 0, model: 'aa'.repeat(32), protection: 'none', payload: new Uint8Array(3) });
  await run.upload(a, { bytes: nul, digest: sha256(nul) });
  say('nul', await run.submit(a, { round: 1, step: 0, digest: sha256(nul) }));
  const emo = encode({ format: 2, run: 'r', group: 'x' + '😀'.repeat(127), round: 1, step: 0, model: 'aa'.repeat(32), protection: 'none', payload: new Uint8Array(3) });
  await run.upload(a, { bytes: emo, digest: sha256(emo) });
  say('emoji', await run.submit(a, { round: 1, step: 0, digest: sha256(emo) }));
  say('admin nul', await adminInject(t, { method: 'POST', path: '/v1/admin/runs', body: { name: 'x', plan: tinyPlan({ survey: { ...tinyPlan().survey, name: 'a\u0000' } }) } }));
  say('admin proto', await adminInject(t, { method: 'POST', path: '/v1/admin/runs', body: JSON.parse('{"name":"x","__proto__":{"a":1},"plan":' + JSON.stringify(tinyPlan()) + '}') }));
  const both = await Promise.all([1, 2, 3].map(() => adminInject(t, { method: 'POST', path: '/v1/admin/runs', body: { name: 'same', plan: tinyPlan() } })));
  both.forEach((r) => say('same', r));
  const many = await Promise.all(Array.from({ length: 20 }, (_, i) => run.begin(b, sha256(String(i)), 100)));
  console.log(many.map((r) => r.statusCode).join(), (await t.aggregator.db.selectFrom('uploads').selectAll().where('group_id', '=', 'b').execute()).length);
  say('bad url', await t.app.inject({ method: 'GET', url: '/v1/runs/%zz' }));
  say('long url', await t.app.inject({ method: 'GET', url: '/v1/runs/' + 'a'.repeat(2000) }));
  for (let i = 0; i < 8; i++) { const r = await t.app.inject({ method: 'GET', url: '/v1/runs', headers: { 'pluralllm-key': sha256(String(i)) } }); if (i > 4) say('fake key', r); }
  for (let i = 0; i < 8; i++) { const r = await t.app.inject({ method: 'POST', url: '/v1/admin/runs', headers: { 'authorization': 'Bearer x' } }); if (i > 5) say('bad admin', r); }
  for (let i = 0; i < 8; i++) { const r = await t.app.inject({ method: 'GET', url: run.path('/task'), }); if (i > 5) say('unsigned', r); }
  for (let i = 0; i < 8; i++) { const r = await run.send({ identity: freshIdentity() }, { method: 'POST', path: run.path('/groups'), body: { group: 'z', token: null } }); if (i > 5) say('join', r); }
  for (let i = 0; i < 8; i++) { const r = await t.app.inject({ method: 'GET', url: '/nothing' }); if (i > 5) say('404', r); }
  say('text', await run.send(a, { method: 'POST', path: run.path('/submissions'), body: {} }, { headers: { 'content-type': 'text/plain' } }));
  const r = await run.send(a, { method: 'GET', path: run.path('/task') }); console.log(r.headers);
  const cjk = '好'.repeat(256); const c = await run.join(cjk);
  say('revoke long', await adminInject(t, { method: 'DELETE', path: `/v1/admin/runs/${run.run}/groups/${encodeURIComponent(cjk)}` }));
  say('HEAD', await run.send(a, { method: 'HEAD', path: run.path('/task') }));
  await t.close();
});
