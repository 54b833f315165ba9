import type { ParticipantOptions } from './participation.ts';
import type { TransferOptions } from './transfer.ts';

/** Downloads of a group, with its progress told as events. */
export function downloadsOf({ api, retry, emit }: ParticipantOptions): TransferOptions {
  const onProgress = (doneBytes: number, allBytes: number) =>
    emit({ type: 'transfer', direction: 'down', doneBytes, allBytes });
  return { api, retry, onProgress };
}
