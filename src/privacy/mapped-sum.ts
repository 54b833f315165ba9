import type { Aggregate } from '../wire/stages.ts';
import type { Collection } from './protection.ts';

/** A collection whose sum is `mapped` before anybody gets it. */
export function withMappedSum(collection: Collection, mapped: (sum: Aggregate) => Aggregate): Collection {
  return {
    screen: (step, reply, publicKey) => collection.screen(step, reply, publicKey),
    add: (step, reply) => collection.add(step, reply),
    noteOf: (step, reply) => collection.noteOf(step, reply),
    recall: (step, group, note) => collection.recall(step, group, note),
    close: (step, groups) => collection.close(step, groups),
    show: (step, group) => collection.show(step, group),
    lacks: () => collection.lacks(),
    finish: () => mapped(collection.finish()),
    accused: () => collection.accused(),
  };
}
