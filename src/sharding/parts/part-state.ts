import { invariant } from '../../core/errors.ts';
import type { ParameterLayout } from '../../predictor/layout.ts';
import type { AdamOptions } from '../../training/optimizer.ts';
import type { BoundaryAxis } from './boundary-axes.ts';
import { turnSpace } from './morph.ts';
import { type Floats, inPrecision, type Precision } from './part-session.ts';
import {
  freshMoments,
  type SharedAxis,
  type StageMoments,
  sharedAxes,
  stageAdamStep,
} from './stage-optimizer.ts';

/** What a part trains. */
export interface PartSetup {
  readonly layout: ParameterLayout;
  /** Axes of the part that touch spaces. */
  readonly axes: readonly BoundaryAxis[];
  /** Along which the second moment is shared; left out: `sharedAxes`, without which training does not commute with morphs. */
  readonly shared?: readonly SharedAxis[];
  /** Parameters to begin with, [layout.size]. */
  readonly parameters: Floats;
  readonly optimizer: AdamOptions;
  readonly precision: Precision;
}

/** Parameters and moments of a part, float64 [layout.size] each, and the number of steps taken. */
export interface PartMemory extends StageMoments {
  readonly masters: Float64Array;
}

/** Overwrites a memory that is not needed any more. */
export function wipe({ masters, first, second }: PartMemory): void {
  for (const values of [masters, first, second]) values.fill(0);
}

/**
 * Parameters of one part with their moments and the gradients of the step that is under way. They are kept in float64 and cast for the
 * graphs: each morph rounds them all, and in float32 that would add up over a run.
 */
export class PartState {
  /** Without the start, which must not stay beside what becomes of it. */
  readonly #setup: Omit<PartSetup, 'parameters'>;
  readonly #shared: readonly SharedAxis[];
  readonly #masters: Float64Array;
  readonly #moments;
  readonly #gradient: Float64Array;
  #tasks = 0;
  #cast: Floats | null = null;

  constructor(setup: PartSetup) {
    const { parameters, ...rest } = setup;
    const { layout, axes, shared = sharedAxes(layout, axes) } = rest;
    invariant(parameters.length === layout.size, `${parameters.length} parameters for ${layout.size}`);
    this.#setup = rest;
    this.#shared = shared;
    this.#masters = Float64Array.from(parameters);
    this.#moments = freshMoments(layout.size);
    this.#gradient = new Float64Array(layout.size);
  }

  /** The parameters as the graphs take them; valid until the next step or morph. */
  forGraphs(): Floats {
    this.#cast ??= inPrecision(this.#masters, this.#setup.precision);
    return this.#cast;
  }

  /** The parameters now, as a copy. */
  masters(): Float64Array {
    return this.#masters.slice();
  }

  /** A state of other parameters that are trained alike, with fresh moments. */
  fresh(parameters: Floats): PartState {
    return new PartState({ ...this.#setup, parameters });
  }

  memory(): PartMemory {
    const { first, second, steps } = this.#moments;
    return { masters: this.masters(), first: first.slice(), second: second.slice(), steps };
  }

  restore({ masters, first, second, steps }: PartMemory): void {
    const { size } = this.#setup.layout;
    for (const values of [masters, first, second]) {
      invariant(values.length === size, `a memory of ${values.length} numbers for ${size}`);
    }
    this.#masters.set(masters);
    this.#moments.first.set(first);
    this.#moments.second.set(second);
    this.#moments.steps = steps;
    this.#dropGradients();
    this.#cast = null;
  }

  /** Adds the gradient of one task to those of the step. */
  add(gradient: Floats): void {
    this.#tasks++;
    for (let i = 0; i < this.#gradient.length; i++) this.#gradient[i]! += gradient[i]!;
  }

  /** A step along the mean of the gradients added since the last one. */
  step(learningRate: number): void {
    invariant(this.#tasks > 0, 'a step without a gradient');
    const { layout, optimizer } = this.#setup;
    const mean = this.#gradient;
    if (this.#tasks > 1) for (let i = 0; i < mean.length; i++) mean[i]! /= this.#tasks;
    stageAdamStep(layout, this.#shared, this.#masters, mean, this.#moments, learningRate, optimizer);
    this.#dropGradients();
    this.#cast = null;
  }

  #dropGradients(): void {
    this.#gradient.fill(0);
    this.#tasks = 0;
  }

  /** Turns one of the part's spaces: parameters and first moments; second moments do not change. */
  turn(space: number, rotation: Float64Array): void {
    invariant(this.#tasks === 0, 'a morph in the middle of a step');
    turnSpace(this.#masters, this.#setup.axes, space, rotation);
    turnSpace(this.#moments.first, this.#setup.axes, space, rotation);
    this.#cast = null;
  }
}
