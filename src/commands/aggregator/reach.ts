import type { Argv } from 'yargs';
import { AdminApi } from '../../client/admin-api.ts';
import { retryWith } from '../../client/retry.ts';
import { httpTransport } from '../../client/transport.ts';
import { PluralError } from '../../core/errors.ts';
import { readFileText } from '../../core/files.ts';
import { addressIn } from '../../server/address.ts';
import { readAdminKey } from '../../server/keys.ts';
import { readSettings } from '../../server/settings.ts';
import type { CommonFlags } from '../command.ts';

/** A person waits for the answer. */
const PATIENCE_MS = 5000;
const KEY_VARIABLE = 'PLURALLLM_ADMIN_KEY';

/** An aggregator that commands talk to. */
export interface Reached {
  readonly api: AdminApi;
  /** Address that groups are told. */
  readonly publicUrl: string;
}

/** The positional and the flags of all commands that talk to an aggregator. */
export function withAggregator(parser: Argv<CommonFlags>) {
  return parser
    .positional('aggregator', {
      type: 'string',
      demandOption: true,
      describe: `the aggregator's folder, or its URL with the admin key in ${KEY_VARIABLE}`,
    })
    .option('ca', {
      type: 'string',
      describe: "PEM file with the certificate that the aggregator's is from",
    });
}

interface Target {
  readonly url: string;
  readonly publicUrl: string;
  readonly adminKey: string | null;
  readonly ca: string | null;
}

function targetOf(aggregator: string, ca: string | undefined): Target {
  const given = ca === undefined ? null : readFileText(ca);
  if (/^https?:\/\//.test(aggregator)) {
    const adminKey = process.env[KEY_VARIABLE]?.trim() ?? null;
    return { url: aggregator, publicUrl: aggregator, adminKey, ca: given };
  }
  const settings = readSettings(aggregator);
  const url = addressIn(aggregator, settings);
  const own = settings.tls === null ? null : readFileText(settings.tls.cert);
  const adminKey = readAdminKey(aggregator);
  return { url, publicUrl: settings.publicUrl ?? url, adminKey, ca: given ?? own };
}

/** Talks to an aggregator by its folder or its URL. Errors: FOLDER_NOT_READY, AGGREGATOR_UNREACHABLE, and those of `talk`. */
export async function reach<Result>(
  { aggregator, ca }: { readonly aggregator: string; readonly ca: string | undefined },
  talk: (reached: Reached) => Promise<Result>,
): Promise<Result> {
  const target = targetOf(aggregator, ca);
  const { send, close } = httpTransport({ url: target.url, ca: target.ca });
  const retry = retryWith({ patienceMs: PATIENCE_MS });
  const api = new AdminApi({ transport: send, retry, adminKey: target.adminKey });
  try {
    return await talk({ api, publicUrl: target.publicUrl });
  } finally {
    close();
  }
}

/** The run that is meant where none is named: the only one. Errors: USAGE. */
export async function runNamed(api: AdminApi, named: string | undefined): Promise<string> {
  if (named !== undefined) return named;
  const runs = await api.runs();
  const [only] = runs;
  if (only !== undefined && runs.length === 1) return only.run;
  const hint =
    only === undefined
      ? 'There is none yet: pluralllm aggregator start <aggregator> configs/quickstart.yaml'
      : `Runs: ${runs.map(({ run }) => run).join(', ')}`;
  throw new PluralError('USAGE', 'which run? Name it', { hint });
}
