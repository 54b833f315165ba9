import { GroupHome } from '../client/home.ts';
import { type OwnPrediction, predictOwn } from '../client/sharding/predict-own.ts';
import { PluralError } from '../core/errors.ts';
import { connect } from './group/connect.ts';
import { interruptible } from './interrupt.ts';
import type { Terminal } from './terminal.ts';

/** A person waits for the answer. */
const PATIENCE_MS = 30_000;

/** Predictions of a group's own folder through the keepers of its run. */
export async function predictSharded(
  folder: string,
  asked: readonly string[],
  terminal: Terminal,
): Promise<OwnPrediction[]> {
  const home = new GroupHome(folder);
  const release = home.lock();
  const { signal } = interruptible();
  try {
    const answers = home.answersOrNull();
    if (answers === null) {
      throw new PluralError('FOLDER_NOT_READY', `${folder} has no answers: it is no group's folder`, {
        hint: `First: pluralllm group init ${folder} --answers FILE`,
      });
    }
    const membership = home.membership();
    const { definition, group, featuresPath, keepers } = membership;
    const identity = home.identity();
    const { api, close } = connect(identity, membership, { patienceMs: PATIENCE_MS, signal, terminal });
    const warn = (message: string) => terminal.note(`warning: ${message}`);
    const local = { definition, group, answers, featuresPath, device: 'cpu', warn };
    try {
      return await predictOwn(home, local, { api, identity, links: home.links, keepers, signal }, asked);
    } finally {
      close();
    }
  } finally {
    release();
  }
}
