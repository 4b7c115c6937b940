"""Vectors for compiled code: operations on 16 numbers at once in a numba kernel, each a few LLVM instructions.

Without them, LLVM has to find vectors in a kernel's loops by itself, and in those of attention it finds none.

To decide whether cached code is still valid, numba looks only at the file of the compiled function: after an edit here,
touch `attention.py` too, or its old code stays in use.
"""

import operator
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import float32, int64, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 16  # numbers in a vector: one register of AVX-512, two of AVX2, four of NEON

# 2^x on [−½, ½] with a relative error of 1e-7: the polynomial through its Chebyshev points, constant term first.
EXP2 = (
    *(1.0000000754548972, 0.6931471880262273, 0.2402210748530968),
    *(0.05550357114222094, 0.009676031918255982, 0.001339086336353527),
)


class _Vector(types.Type):
    """A vector of LANES float32."""

    def __init__(self) -> None:
        super().__init__("Vector")


class _Vectors(types.Type):
    """A few vectors; their number is the width of a head."""

    def __init__(self, count: int) -> None:
        super().__init__(f"Vectors({count})")
        self.count = count


VECTOR = _Vector()
IR_FLOAT, IR_INT = ir.FloatType(), ir.IntType(32)
IR_VECTOR = ir.VectorType(IR_FLOAT, LANES)
IR_INTS = ir.VectorType(IR_INT, LANES)


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, IR_VECTOR)


@register_model(_Vectors)
class _VectorsModel(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, ir.ArrayType(IR_VECTOR, kind.count))


def _constant(values) -> ir.Constant:
    """Return an IR vector of LANES numbers, or of one number in every lane."""
    kind = IR_INTS if isinstance(np.ravel(values)[0], np.integer) else IR_VECTOR
    return ir.Constant(kind, np.broadcast_to(values, LANES).tolist())


def _splat(builder, x, lanes: int = LANES):
    """Return an IR vector with the scalar x in every lane."""
    kind, picks = ir.VectorType(x.type, lanes), ir.VectorType(IR_INT, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), x, IR_INT(0))
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), ir.Constant(picks, None))


def _multiply_add(builder, a, b, c):
    """Return a·b + c, rounded only once if the machine can do that."""
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(IR_VECTOR, [IR_VECTOR] * 3), f"llvm.fmuladd.v{LANES}f32"
    )
    return builder.call(function, [a, b, c])


def _address(context, builder, signature, args, of: int, kind: ir.Type = IR_FLOAT):
    """Return a pointer to `kind` at element args[of + 1] of the array args[of]."""
    array = context.make_array(signature.args[of])(context, builder, args[of])
    return builder.bitcast(builder.gep(array.data, [args[of + 1]]), kind.as_pointer())


def _at(builder, address, index: int):
    return builder.gep(address, [IR_INT(index)])


def _read(builder, address):
    return builder.load(address, align=4)


@intrinsic(prefer_literal=True)
def zeros(typing, count):
    """zeros(count): return `count` vectors of zeros."""
    kind = _Vectors(count.literal_value)
    return kind(count), lambda context, builder, signature, args: ir.Constant(ir.ArrayType(IR_VECTOR, kind.count), None)


@intrinsic
def splat(typing, x):
    """splat(x): return a vector with x in every lane."""
    return VECTOR(float32), lambda context, builder, signature, args: _splat(builder, args[0])


@intrinsic
def load(typing, array, at):
    """load(array, at): return the vector array[at : at + LANES]."""

    def code(context, builder, signature, args):
        return _read(builder, _address(context, builder, signature, args, 0, IR_VECTOR))

    return VECTOR(array, int64), code


@intrinsic
def store(typing, array, at, vector):
    """store(array, at, vector): write the vector to array[at : at + LANES]."""

    def code(context, builder, signature, args):
        builder.store(args[2], _address(context, builder, signature, args, 0, IR_VECTOR), align=4)
        return context.get_dummy_value()

    return types.void(array, int64, VECTOR), code


@intrinsic(prefer_literal=True)
def load_all(typing, array, at, count):
    """load_all(array, at, count): return `count` vectors, one after the other from array[at] on."""
    kind = _Vectors(count.literal_value)

    def code(context, builder, signature, args):
        address = _address(context, builder, signature, args, 0, IR_VECTOR)
        loaded = ir.Constant(ir.ArrayType(IR_VECTOR, kind.count), ir.Undefined)
        for d in range(kind.count):
            loaded = builder.insert_value(loaded, _read(builder, _at(builder, address, d)), d)
        return loaded

    return kind(array, int64, count), code


@intrinsic
def store_all(typing, array, at, vectors):
    """store_all(array, at, vectors): write the vectors one after the other from array[at] on."""

    def code(context, builder, signature, args):
        address = _address(context, builder, signature, args, 0, IR_VECTOR)
        for d in range(vectors.count):
            builder.store(builder.extract_value(args[2], d), _at(builder, address, d), align=4)
        return context.get_dummy_value()

    return types.void(array, int64, vectors), code


@intrinsic
def dot(typing, vectors, array, at):
    """dot(vectors, array, at): return the vector Σ_d vectors[d] · array[at + d]."""

    def code(context, builder, signature, args):
        address = _address(context, builder, signature, args, 1)
        total = _constant(0.0)
        for d in range(vectors.count):
            x = _splat(builder, _read(builder, _at(builder, address, d)))
            v = builder.extract_value(args[0], d)
            total = builder.fmul(v, x) if d == 0 else _multiply_add(builder, v, x, total)
        return total

    return VECTOR(vectors, array, int64), code


@intrinsic
def plus_outer(typing, vectors, vector, array, at):
    """plus_outer(vectors, vector, array, at): return the vectors vectors[d] + vector · array[at + d]."""

    def code(context, builder, signature, args):
        address, sums = _address(context, builder, signature, args, 2), args[0]
        for d in range(vectors.count):
            x = _splat(builder, _read(builder, _at(builder, address, d)))
            total = _multiply_add(builder, args[1], x, builder.extract_value(args[0], d))
            sums = builder.insert_value(sums, total, d)
        return sums

    return vectors(vectors, VECTOR, array, int64), code


@intrinsic
def scaled(typing, vectors, vector):
    """scaled(vectors, vector): return the vectors vectors[d] · vector."""

    def code(context, builder, signature, args):
        products = args[0]
        for d in range(vectors.count):
            products = builder.insert_value(products, builder.fmul(builder.extract_value(args[0], d), args[1]), d)
        return products

    return vectors(vectors, VECTOR), code


@intrinsic
def maximum(typing, a, b):
    """maximum(a, b): return the larger number in each lane; b if either is NaN."""

    def code(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return VECTOR(VECTOR, VECTOR), code


@intrinsic
def exp2(typing, x):
    """exp2(x): return 2^x in each lane, for x < 128; x below −126, where only subnormals are left, gives 2^−126."""

    def code(context, builder, signature, args):
        [x] = args
        low = _constant(-126.0)
        x = builder.select(builder.fcmp_ordered(">", low, x), low, x)  # NaN stays NaN
        # Adding 1.5·2²³ leaves no bits for a fraction: x is rounded, and the integer ends up in the lowest bits.
        magic = _constant(1.5 * 2**23)
        shifted = builder.fadd(x, magic)
        fraction = builder.fsub(x, builder.fsub(shifted, magic))
        power = _constant(EXP2[-1])
        for coefficient in EXP2[-2::-1]:
            power = _multiply_add(builder, power, fraction, _constant(coefficient))
        exponent = builder.shl(builder.bitcast(shifted, IR_INTS), _constant(np.int32(23)))
        return builder.bitcast(builder.add(builder.bitcast(power, IR_INTS), exponent), IR_VECTOR)

    return VECTOR(VECTOR), code


@intrinsic
def from_lane(typing, lane, vector, other):
    """from_lane(lane, vector, other): return `other` in the lanes before this one, and `vector` from it on."""

    def code(context, builder, signature, args):
        lanes = _constant(np.arange(LANES, dtype=np.int32))
        before = builder.icmp_signed("<", lanes, _splat(builder, builder.trunc(args[0], IR_INT)))
        return builder.select(before, args[2], args[1])

    return VECTOR(int64, VECTOR, VECTOR), code


@intrinsic
def transpose(typing, array):
    """transpose(array): swap rows and columns of a LANES × LANES array, in place."""

    def code(context, builder, signature, args):
        address = _address(context, builder, signature, (args[0], ir.IntType(64)(0)), 0, IR_VECTOR)
        rows = [_read(builder, _at(builder, address, row)) for row in range(LANES)]
        step = 1
        while step < LANES:  # in squares of 2·step, swap the upper right and lower left quarters
            upper = [lane if not lane & step else LANES + lane - step for lane in range(LANES)]
            lower = [lane + step if not lane & step else LANES + lane for lane in range(LANES)]
            for row in (row for row in range(LANES) if not row & step):
                pair = rows[row], rows[row + step]
                rows[row], rows[row + step] = (
                    builder.shuffle_vector(*pair, ir.Constant(IR_INTS, picks)) for picks in (upper, lower)
                )
            step *= 2
        for row in range(LANES):
            builder.store(rows[row], _at(builder, address, row), align=4)
        return context.get_dummy_value()

    return types.void(array), code


def _copy(stride: int, step: int) -> Callable:
    """Return a function that copies numbers which are `stride` apart to places which are `step` apart.

    The function takes (source, at, factor, target, to, count): it copies `count` numbers from source[at] on, times
    `factor`, to target[to] on. It reads all of them before it writes.
    """

    @intrinsic(prefer_literal=True)
    def copy(typing, source, at, factor, target, to, count):
        width = count.literal_value
        kind = ir.VectorType(IR_FLOAT, width)

        def code(context, builder, signature, args):
            if stride == 1:
                row = _read(builder, _address(context, builder, signature, args, 0, kind))
            else:
                start, row = _address(context, builder, signature, args, 0), ir.Constant(kind, ir.Undefined)
                for d in range(width):
                    row = builder.insert_element(row, _read(builder, _at(builder, start, d * stride)), IR_INT(d))
            row = builder.fmul(row, _splat(builder, args[2], width))
            if step == 1:
                builder.store(row, _address(context, builder, signature, args, 3, kind), align=4)
            else:
                start = _address(context, builder, signature, args, 3)
                for d in range(width):
                    builder.store(builder.extract_element(row, IR_INT(d)), _at(builder, start, d * step), align=4)
            return context.get_dummy_value()

        return types.void(source, int64, float32, target, int64, count), code

    return copy


copy_row, row_to_column, column_to_row = _copy(1, 1), _copy(1, LANES), _copy(LANES, 1)


def _lanewise(instruction: str) -> Callable:
    """Return the function of two vectors that applies this LLVM instruction in every lane."""

    @intrinsic
    def lanewise(typing, a, b):
        return VECTOR(VECTOR, VECTOR), lambda context, builder, signature, args: getattr(builder, instruction)(*args)

    return lanewise


_add, _subtract, _times, _over = (_lanewise(name) for name in ("fadd", "fsub", "fmul", "fdiv"))


def _overload(symbol: Callable, function: Callable) -> None:
    @overload(symbol)
    def of_vectors(a, b):
        return (lambda a, b: function(a, b)) if (a, b) == (VECTOR, VECTOR) else None


for _symbol, _function in (
    (operator.add, _add),
    (operator.sub, _subtract),
    (operator.mul, _times),
    (operator.truediv, _over),
):
    _overload(_symbol, _function)
