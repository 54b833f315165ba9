import { appendFileSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Config, configDigest, configYaml } from '../config/config.ts';
import { configFrom } from '../config/load.ts';
import { PluralError } from '../core/errors.ts';
import { fileExists, makeFolder, readFileText, writeError, writeFileAtomic } from '../core/files.ts';

/** Files of a run folder. */
export const RUN_FILES = {
  config: 'config.yaml',
  metrics: 'metrics.jsonl',
  log: 'log.jsonl',
  result: 'result.json',
  model: 'model.onnx',
} as const;

/** Path of the checkpoint of one method. */
export function checkpointPath(folder: string, method: string): string {
  return join(folder, 'checkpoints', `${method}.ckpt`);
}

function isRun(folder: string): boolean {
  return fileExists(join(folder, RUN_FILES.config));
}

/** `runs/name`, `runs/name-2`, ... that exist, by number. */
function numberedRuns(first: string): { path: string; number: number }[] {
  const parent = dirname(first);
  if (!fileExists(parent)) return [];
  const name = basename(first);
  const found = readdirSync(parent).flatMap((entry) => {
    const suffix = entry === name ? '-1' : entry.startsWith(`${name}-`) ? entry.slice(name.length) : '';
    const path = join(parent, entry);
    return /^-[1-9]\d*$/.test(suffix) && isRun(path) ? [{ path, number: Number(suffix.slice(1)) }] : [];
  });
  return found.sort((a, b) => a.number - b.number);
}

/** The configuration frozen in a run folder; RUN_NOT_FOUND where there is none. */
export function frozenConfig(folder: string): Config {
  const path = join(folder, RUN_FILES.config);
  if (!fileExists(path)) {
    throw new PluralError('RUN_NOT_FOUND', `${folder} is not a run folder: it has no ${RUN_FILES.config}`, {
      hint: 'Give the folder that "pluralllm run" printed, such as runs/quickstart.',
    });
  }
  return configFrom(readFileText(path), path);
}

/** Refuses to go on with a run that was started with other settings. */
function checkSameConfig(folder: string, config: Config): void {
  const before = configDigest(frozenConfig(folder));
  const now = configDigest(config);
  if (before === now) return;
  throw new PluralError('CHECKPOINT_MISMATCH', `${folder} belongs to another configuration`, {
    hint: `Its digest is ${before.slice(0, 12)}, yours is ${now.slice(0, 12)}. Resume with the frozen one: pluralllm run ${folder} --resume`,
  });
}

/** Where to write, and whether to go on from what is there. */
export interface RunPlace {
  /** Folder asked for; null: `runs/<name>`, numbered where that is taken. */
  readonly folder: string | null;
  readonly resume: boolean;
}

/**
 * The folder of a run, made and with the configuration frozen in it. A new run never touches an old one.
 * Errors: RUN_EXISTS, RUN_NOT_FOUND, CHECKPOINT_MISMATCH.
 */
export function openRunFolder(config: Config, place: RunPlace): string {
  const asked = place.folder ?? config.output;
  const first = asked ?? join('runs', config.name);
  if (place.resume) {
    const folder = asked ?? numberedRuns(first).at(-1)?.path ?? first;
    checkSameConfig(folder, config);
    return folder;
  }
  if (asked !== null && isRun(asked)) {
    throw new PluralError('RUN_EXISTS', `${asked} already holds a run`, {
      hint: 'Go on with it by --resume, or choose another folder with --output-dir.',
    });
  }
  const last = asked === null ? (numberedRuns(first).at(-1)?.number ?? 0) : 0;
  const folder = last === 0 ? first : `${first}-${last + 1}`;
  makeFolder(join(folder, 'checkpoints'));
  writeFileAtomic(
    join(folder, RUN_FILES.config),
    `# Frozen by pluralllm. Digest: ${configDigest(config)}\n${configYaml(config)}`,
  );
  return folder;
}

/** Appends one JSON line. */
export function appendLine(path: string, value: unknown): void {
  try {
    appendFileSync(path, `${JSON.stringify(value)}\n`);
  } catch (thrown) {
    throw writeError(path, thrown);
  }
}

/** Length of a file in bytes; 0 where there is none. */
export function lengthOf(path: string): number {
  return fileExists(path) ? statSync(path).size : 0;
}

/** Cuts what was appended after a checkpoint, so that a resumed run writes it once. */
export function cutTo(path: string, length: number): void {
  if (lengthOf(path) > length) truncateSync(path, length);
}
