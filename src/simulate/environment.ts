import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { cpus, platform, release } from 'node:os';
import { ownVersion, PACKAGE_ROOT, versionIn } from '../core/version.ts';
import type { RunRecord } from '../report/record.ts';

/** Version of the installed ONNX Runtime. */
export function onnxruntimeVersion(): string {
  return versionIn(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
}

/** Commit of the checkout this runs from, marked where files were changed; null for an installed package. */
export function ownCommit(): string | null {
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', PACKAGE_ROOT, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
  try {
    // An installed package may lie inside somebody else's checkout.
    if (git('ls-files', 'package.json') !== 'package.json') return null;
    const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
    return git('rev-parse', '--short=12', 'HEAD') + (changed ? ' with changes' : '');
  } catch {
    return null;
  }
}

/** What a run was made on. */
export function environmentOf(device: string, workers: number): RunRecord['environment'] {
  const processors = cpus();
  return {
    version: ownVersion(),
    commit: ownCommit(),
    node: process.version,
    onnxruntime: onnxruntimeVersion(),
    platform: `${platform()} ${release()} ${process.arch}`,
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    workers,
    device,
  };
}
