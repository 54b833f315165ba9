import v8 from 'node:v8';
import { runInNewContext } from 'node:vm';

type GiveBack = (memory: ArrayBufferLike) => void;

/** What empties an array buffer, as a program of its own; null where the engine has no `transfer`. */
const EMPTYING = `typeof ArrayBuffer.prototype.transfer === 'function'
  ? (memory) => { ArrayBuffer.prototype.transfer.call(memory, 0); }
  : null`;
/** The engine of Node 20 has it behind this flag, which a context looks at when it is made, and nobody else. */
const FLAG = 'harmony-rab-gsab-transfer';

function inNewContext(): GiveBack | null {
  try {
    v8.setFlagsFromString(`--${FLAG}`);
    return runInNewContext(EMPTYING);
  } catch {
    return null;
  } finally {
    v8.setFlagsFromString(`--no-${FLAG}`);
  }
}

/**
 * Frees the memory of an array buffer at once, which is empty from then on; null where that cannot be done. Memory that waits for the
 * collector is cold when it is used again, or was given back to the system: for the many short-lived pieces of a keystream that costs more than the cipher
 * (bench/mask.ts: a masked update takes half the processor time).
 */
export const giveBack: GiveBack | null =
  'transfer' in ArrayBuffer.prototype ? runInNewContext(EMPTYING) : inNewContext();
