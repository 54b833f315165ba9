import { randomBytes } from 'node:crypto';
import { fillExactNormal } from '../../core/exact-normal.ts';
import { keyedUniform } from '../parts/morph.ts';
import type { Blur } from './sharded-group.ts';

const KEY_BYTES = 32;

/** Adds normal noise of `noise` times the root mean square of what leaves a group; `normals` gives as many standard normal deviates as it is asked for. */
export function cutNoise(
  noise: number,
  normals: (count: number, at: Parameters<Blur>[1]) => ArrayLike<number>,
): Blur {
  return (frame, at) => {
    let squares = 0;
    for (const value of frame.data) squares += value * value;
    const stddev = noise * Math.sqrt(squares / frame.data.length);
    const drawn = normals(frame.data.length, at);
    return { ...frame, data: frame.data.map((value, index) => value + stddev * drawn[index]!) };
  };
}

/** The same with deviates that nobody else can know. */
export function secretCutNoise(noise: number): Blur {
  return cutNoise(noise, (count) => {
    const values = new Float64Array(count);
    fillExactNormal(values, keyedUniform(new Uint8Array(randomBytes(KEY_BYTES))));
    return values;
  });
}
