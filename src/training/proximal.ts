/** FedProx's pull of local training to where it began (Li et al., MLSys 2020, section 3.2). */
export interface ProximalPull {
  /** mu, above 0. */
  readonly proximal: number;
  /** Where training began, float32 [parameters]. */
  readonly anchor: Float32Array;
}

/** Adds the gradient of (mu / 2) |theta - anchor|^2, which is mu (theta - anchor), in place. */
export function addPull(
  { parameters, gradient }: { readonly parameters: Float32Array; readonly gradient: Float32Array },
  { proximal, anchor }: ProximalPull,
): void {
  for (let i = 0; i < gradient.length; i++) gradient[i]! += proximal * (parameters[i]! - anchor[i]!);
}
