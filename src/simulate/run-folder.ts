import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Config, configDigest, configYaml } from '../config/config.ts';
import { configFrom } from '../config/load.ts';
import { PluralError } from '../core/errors.ts';
import {
  fileExists,
  listFolder,
  makeFolder,
  readFileText,
  writeError,
  writeFileAtomic,
} from '../core/files.ts';
import { listShipped } from '../data/shipped.ts';
import { newestNumbered, nextNumbered } from './numbered-folders.ts';

/** Files of a run folder. */
export const RUN_FILES = {
  config: 'config.yaml',
  metrics: 'metrics.jsonl',
  log: 'log.jsonl',
  model: 'model.onnx',
} as const;

/** Path of the checkpoint of one method. */
export function checkpointPath(folder: string, method: string): string {
  return join(folder, 'checkpoints', `${method}.ckpt`);
}

/** Name of the definition of a grid, in the folder above the runs of its cells. */
export const GRID_FILE = 'grid.json';

/** Whether a folder holds a run. */
export function isRun(folder: string): boolean {
  return fileExists(join(folder, RUN_FILES.config));
}

/** Whether a folder holds a grid of runs. */
export function isGrid(folder: string): boolean {
  return fileExists(join(folder, GRID_FILE));
}

/** Refuses a folder that holds a run or a grid already. Errors: RUN_EXISTS. */
export function checkFree(folder: string): void {
  if (!isRun(folder) && !isGrid(folder)) return;
  throw new PluralError('RUN_EXISTS', `${folder} already holds a ${isRun(folder) ? 'run' : 'grid of runs'}`, {
    hint: 'Go on with it by --resume, or choose another folder with --output-dir.',
  });
}

/** Path of the configuration frozen in a run folder; RUN_NOT_FOUND where there is none. */
export function frozenConfigPath(folder: string): string {
  const path = join(folder, RUN_FILES.config);
  if (fileExists(path)) return path;
  throw new PluralError('RUN_NOT_FOUND', `${folder} is not a run folder: it has no ${RUN_FILES.config}`, {
    hint: 'Give the folder that "pluralllm run" printed, such as runs/quickstart.',
  });
}

/** The configuration with the places of its files made absolute, so that the run folder works from anywhere. */
export function frozenConfig(config: Config): Config {
  const { data, features } = config;
  const place = (path: unknown) => (typeof path === 'string' ? resolve(path) : path);
  return {
    ...config,
    data: {
      ...data,
      survey:
        data.survey === null || listShipped().includes(data.survey) ? data.survey : resolve(data.survey),
      path: data.path === null ? null : resolve(data.path),
    },
    features: 'path' in features ? { ...features, path: place(features['path']) } : features,
  };
}

/** Refuses to go on with a run that was started with other settings. */
function checkSameConfig(folder: string, config: Config): void {
  const path = frozenConfigPath(folder);
  const before = configDigest(configFrom(readFileText(path), path));
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
 * The folder that a run will use; writes nothing. A new run never touches an old one.
 * Errors: RUN_EXISTS, RUN_NOT_FOUND, CHECKPOINT_MISMATCH.
 */
export function chooseRunFolder(config: Config, place: RunPlace): string {
  const asked = place.folder ?? config.output;
  const first = asked ?? join('runs', config.name);
  if (place.resume) {
    const folder = asked ?? newestNumbered(first, RUN_FILES.config) ?? first;
    checkSameConfig(folder, config);
    return folder;
  }
  if (asked === null) return nextNumbered(first, RUN_FILES.config);
  checkFree(asked);
  return asked;
}

/** Makes the folder of a new run, with its configuration frozen in it. Errors: RUN_EXISTS, WRITE_FAILED. */
export function makeRunFolder(folder: string, config: Config): void {
  claim(folder);
  const head = `# Frozen by pluralllm. Digest: ${configDigest(config)}`;
  writeFileAtomic(join(folder, RUN_FILES.config), `${head}\n${configYaml(frozenConfig(config))}`);
}

/** Makes the folder's checkpoints folder, which two runs that start at once cannot both do. */
function claim(folder: string): void {
  const checkpoints = join(folder, 'checkpoints');
  makeFolder(folder);
  try {
    mkdirSync(checkpoints);
  } catch (thrown) {
    if (!fileExists(checkpoints)) throw writeError(checkpoints, thrown);
    throw new PluralError('RUN_EXISTS', `${folder} is already used by another run`, {
      hint: 'Choose another folder with --output-dir.',
      cause: thrown,
    });
  }
}

/** Removes what a killed process left of a write that it did not finish. */
export function removeLeftovers(folder: string): void {
  for (const place of [folder, join(folder, 'checkpoints'), join(folder, 'checkpoints', 'local-only')]) {
    for (const name of listFolder(place)) {
      if (/\.\d+\.tmp$/.test(name)) rmSync(join(place, name), { force: true });
    }
  }
}

/** Appends one JSON line. */
export function appendLine(path: string, value: unknown): void {
  try {
    appendFileSync(path, `${JSON.stringify(value)}\n`);
  } catch (thrown) {
    throw writeError(path, thrown);
  }
}
