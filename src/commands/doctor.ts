import { availableParallelism, totalmem } from 'node:os';
import { formatBytes } from '../core/bytes.ts';
import { PluralError } from '../core/errors.ts';
import { textTable } from '../report/table.ts';
import { environmentOf } from '../simulate/environment.ts';
import {
  DEVICE_NEEDS,
  DEVICES,
  type DeviceName,
  installedDevices,
  resolveDevice,
} from '../training/device.ts';
import { selfCheck, timedStep } from '../training/self-check.ts';
import { checkVectors } from '../training/vectors.ts';
import { defineCommand } from './command.ts';
import type { Terminal } from './terminal.ts';

/** Relative L2 error that float32 arithmetic stays below. */
const TOLERANCE = 2e-6;

async function checkMachine(terminal: Terminal): Promise<void> {
  const environment = environmentOf('cpu', availableParallelism());
  const devices = [];
  for (const device of installedDevices()) {
    const check = await selfCheck(device);
    devices.push({ device, ...check, stepMs: check.works ? await timedStep(device) : null });
  }
  terminal.event({ type: 'doctor', environment, memoryBytes: totalmem(), devices });
  const { version, commit, node, onnxruntime, platform, cpu, cores } = environment;
  terminal.print(
    `pluralllm ${version}${commit === null ? '' : ` (${commit})`}, Node ${node}, ONNX Runtime ${onnxruntime}`,
  );
  terminal.print(`${platform}, ${cpu}, ${cores} cores, ${formatBytes(totalmem())} of memory\n`);
  const columns = ['device', 'state', 'training step', 'remark'].map((title) => ({
    title,
    align: 'left' as const,
  }));
  terminal.print(
    textTable(
      columns,
      devices.map(({ device, works, remark, stepMs }) => [
        device,
        works ? 'works' : 'not usable',
        stepMs === null ? '' : `${stepMs.toPrecision(3)} ms`,
        remark,
      ]),
    ),
  );
  const unusable = devices.filter(({ works }) => !works);
  if (unusable.length > 0) terminal.print('');
  for (const { device } of unusable) terminal.print(`${device} needs ${DEVICE_NEEDS[device]}`);
  if (!devices.some(({ device, works }) => device === 'cpu' && works)) {
    throw new PluralError('ENGINE_FAILED', 'ONNX Runtime does not compute correctly on the CPU', {
      hint: 'Reinstall the packages (npm ci); if it stays, report it with the output of "pluralllm doctor --json".',
    });
  }
}

async function checkFigures(path: string, device: DeviceName, tolerance: number, terminal: Terminal) {
  const checks = await checkVectors(path, resolveDevice(device), tolerance);
  for (const check of checks) terminal.event({ type: 'vector', ...check });
  const failed = checks.filter(({ passed }) => !passed);
  const worst = Math.max(...checks.map(({ error }) => error));
  for (const { figure, error } of failed)
    terminal.print(`off: ${figure}, relative error ${error.toExponential(2)}`);
  if (failed.length > 0) {
    throw new PluralError(
      'VECTORS_MISMATCH',
      `${failed.length} of ${checks.length} figures of ${path} are off`,
      {
        hint: `Largest relative L2 error ${worst.toExponential(2)}, allowed ${tolerance}. Do not train on this device.`,
      },
    );
  }
  terminal.print(
    `${checks.length} figures of ${path} reproduced; largest relative L2 error ${worst.toExponential(2)}`,
  );
}

export const doctorCommand = defineCommand({
  usage: 'doctor',
  describe: 'show what this machine has, and hold it against reference figures',
  options: (parser) =>
    parser
      .option('vectors', {
        type: 'string',
        describe: 'file of reference figures (test/vectors/gpo-small.json)',
      })
      .option('device', {
        choices: DEVICES,
        default: 'auto' as DeviceName,
        describe: 'device to hold against them',
      })
      .option('tolerance', {
        type: 'number',
        requiresArg: true,
        default: TOLERANCE,
        describe: 'largest relative L2 error',
      })
      .example('$0 doctor --vectors test/vectors/gpo-small.json', ''),
  run: (flags, terminal) =>
    flags.vectors === undefined
      ? checkMachine(terminal)
      : checkFigures(flags.vectors, flags.device, flags.tolerance, terminal),
});
