import type { ParameterLayout } from '../../predictor/layout.ts';
import type { StagedOptions } from '../../predictor/staged/options.ts';
import type { AdamOptions } from '../../training/optimizer.ts';
import { boundaryAxes } from './boundary-axes.ts';
import { type Floats, openPart, type PartSession, type Precision } from './part-session.ts';
import { PartState } from './part-state.ts';
import type { PartGraphs, PartShape } from './stage-graphs.ts';
import type { SharedAxis } from './stage-optimizer.ts';

/** What a part is opened with. */
export interface PartOpening {
  readonly options: StagedOptions;
  /** The part's own layout and parameters. */
  readonly layout: ParameterLayout;
  readonly parameters: Floats;
  readonly optimizer: AdamOptions;
  /** Default float32. */
  readonly precision?: Precision;
  /** As in PartSetup. */
  readonly shared?: readonly SharedAxis[];
}

/** The state of a part that is being opened. */
export function stateOf({ precision = 'float32', ...opening }: PartOpening): PartState {
  return new PartState({ ...opening, precision, axes: boundaryAxes(opening.layout, opening.options) });
}

/** State and sessions of a part, for the class of each kind of part. */
export interface OpenPart {
  readonly options: StagedOptions;
  readonly state: PartState;
  readonly forward: PartSession;
  readonly backward: PartSession;
}

/** Opens the sessions of a part. Errors: ENGINE_FAILED. */
export async function openedPart(
  opening: PartOpening,
  graphsOf: (shape: PartShape) => PartGraphs,
): Promise<OpenPart> {
  const { options, layout, precision = 'float32' } = opening;
  const graphs = graphsOf({ options, layout, precision });
  const [forward, backward] = await Promise.all([
    openPart(graphs.forward, precision),
    openPart(graphs.backward, precision),
  ]);
  return { options, state: stateOf(opening), forward, backward };
}
