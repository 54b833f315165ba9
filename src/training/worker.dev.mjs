// Starts the worker from its TypeScript source: used by `npm start` and the tests, never by the built package.
// Node 20 does not hand the parent's loader down to worker threads, so the worker registers its own.
import { register } from 'tsx/esm/api';

register();
await import('./worker.ts');
