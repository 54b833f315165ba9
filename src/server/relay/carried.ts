import type { Greeting } from '../../wire/greeting.ts';
import type { FrameHeader } from '../../wire/shard-frame.ts';

/** What a relay carries, as far as it can read it. */
export type Carried = FrameHeader | Greeting;

/** Whether something of a kind goes from who may keep one stage to who may keep another; null: a group. */
export function goesBetween(kind: Carried['kind'], from: number | null, to: number | null): boolean {
  if (kind === 'memory') return from !== null && from === to;
  if (kind === 'vouched') return from !== null && to !== null;
  if (kind === 'share') return from !== null && to !== null && from !== to;
  return from !== null || to !== null;
}

/** What makes older ones of a sender needless, as `Mailbox.put` takes it: of stages and greetings, and of the shares of one stage, the newest is enough. */
export function onlyNewestOf(carried: Carried): string | null {
  switch (carried.kind) {
    case 'share':
      return `share ${carried.boundary}`;
    case 'memory':
    case 'hello':
    case 'welcome':
    case 'vouched':
      return carried.kind;
    default:
      return null;
  }
}
