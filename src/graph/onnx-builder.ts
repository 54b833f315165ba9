import { create, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { bytesOf } from '../core/bytes.ts';
import type { Shape } from './node.ts';

/** ONNX opset and file format that every execution provider of ONNX Runtime 1.30 reads. */
const OPSET = 18n;
const IR_VERSION = 9n;

export type OnnxType = 'float16' | 'float32' | 'float64' | 'int32' | 'int64';

const DATA_TYPE: Record<OnnxType, TensorProto_DataType> = {
  float16: TensorProto_DataType.FLOAT16,
  float32: TensorProto_DataType.FLOAT,
  float64: TensorProto_DataType.DOUBLE,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
};

export type Attribute = number | { readonly real: number } | { readonly text: string } | readonly number[];

function attribute(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'number') {
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
  }
  if ('text' in value) {
    const s = new TextEncoder().encode(value.text);
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.STRING, s });
  }
  if ('real' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.FLOAT, f: value.real });
  }
  const ints = value.map(BigInt);
  return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INTS, ints });
}

function valueInfo(name: string, type: OnnxType, shape: Shape): ValueInfoProto {
  const dim = shape.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value:
        typeof size === 'number'
          ? { case: 'dimValue', value: BigInt(size) }
          : { case: 'dimParam', value: size },
    }),
  );
  const value = create(TypeProto_TensorSchema, {
    elemType: DATA_TYPE[type],
    shape: create(TensorShapeProtoSchema, { dim }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value } }),
  });
}

type TensorData = Float32Array | Float64Array | Int32Array | BigInt64Array;

/** Collects nodes, initialisers, inputs and outputs, and writes them as one ONNX model. */
export class OnnxBuilder {
  readonly #nodes: NodeProto[] = [];
  readonly #initializers = new Map<string, TensorProto>();
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];

  input(name: string, type: OnnxType, shape: Shape): void {
    this.#inputs.push(valueInfo(name, type, shape));
  }

  output(name: string, source: string, type: OnnxType, shape: Shape): void {
    this.node('Identity', [source], {}, [name]);
    this.#outputs.push(valueInfo(name, type, shape));
  }

  /** A named tensor stored in the model. */
  tensor(name: string, type: OnnxType, shape: readonly number[], data: TensorData): string {
    const dims = shape.map(BigInt);
    // The wire form is little-endian, as is every platform that ONNX Runtime ships for.
    const rawData = bytesOf(data).slice();
    this.#initializers.set(
      name,
      create(TensorProtoSchema, { name, dataType: DATA_TYPE[type], dims, rawData }),
    );
    return name;
  }

  /** An int64 vector (axes, shapes, bounds), stored once per content. */
  integers(values: readonly number[]): string {
    const name = `int64:${values.join(',')}`;
    if (this.#initializers.has(name)) return name;
    return this.tensor(name, 'int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  node(
    opType: string,
    input: readonly string[],
    attributes: Readonly<Record<string, Attribute>>,
    output: readonly string[],
  ): void {
    this.#nodes.push(
      create(NodeProtoSchema, {
        opType,
        input: [...input],
        output: [...output],
        attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
      }),
    );
  }

  /** The model as ONNX protobuf bytes; equal graphs give equal bytes. */
  build(name: string, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
    const graph = create(GraphProtoSchema, {
      name,
      node: this.#nodes,
      initializer: [...this.#initializers.values()],
      input: this.#inputs,
      output: this.#outputs,
    });
    const model = create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: 'pluralllm',
      opsetImport: [create(OperatorSetIdProtoSchema, { domain: '', version: OPSET })],
      graph,
      metadataProps: Object.entries(metadata).map(([key, value]) =>
        create(StringStringEntryProtoSchema, { key, value }),
      ),
    });
    return toBinary(ModelProtoSchema, model);
  }
}
