import { parentPort, workerData } from 'node:worker_threads';
import { asPluralError, invariant } from '../core/errors.ts';
import type { JobReply, JobRequest, WorkerStart } from './jobs.ts';
import { Trainer } from './trainer.ts';

/** Entry of a worker thread: does one job after the other and moves the results to the pool without copying. */

const port = parentPort;
invariant(port !== null, 'worker.ts is the entry of a worker thread');
const { setup, stop } = workerData as WorkerStart;
const trainer = new Trainer(setup, () => Atomics.load(stop, 0) === 1);

async function answer({ id, job }: JobRequest): Promise<JobReply> {
  try {
    return { id, result: await trainer.run(job) };
  } catch (thrown) {
    const { code, message, hint } = asPluralError(thrown);
    return { id, error: { code, message, hint } };
  }
}

/** The buffers of a result that the worker has no use for any more. */
function buffersOf(reply: JobReply): ArrayBuffer[] {
  if (!('result' in reply)) return [];
  const { result } = reply;
  const arrays = [];
  if ('optimizer' in result) {
    arrays.push(result.parameters);
    if (result.optimizer !== null) arrays.push(result.optimizer.first, result.optimizer.second);
  } else {
    arrays.push(...('gradient' in result ? [result.gradient] : result.probabilities));
  }
  return [...new Set(arrays.map(({ buffer }) => buffer as ArrayBuffer))];
}

port.on('message', (request: JobRequest) => {
  answer(request).then((reply) => port.postMessage(reply, buffersOf(reply)));
});
const ready: JobReply = { ready: true };
port.postMessage(ready);
