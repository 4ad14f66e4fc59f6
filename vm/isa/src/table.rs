//! The instruction set: one row per instruction, from which all else is derived.
//!
//! `for_each_op!([then])` hands the operators on numbers to the macro `then`, in braces; its twins are
//! `for_each_atomic!` (`table_atomic.rs`), `for_each_simd_op!` (`table_simd.rs`) and `for_each_other!` (`table_other.rs`, what has no value
//! semantics: control, moves, memories, tables). A row reads like a function:
//!
//! ```text
//! Name  [bytes]  "text name"  Feature  Effect  {immediates}  (operands) -> result = semantics;
//! ```
//!
//! - *Feature*: the proposal that brought it, see `Feature`.
//! - *Effect*: `Pure` (no effect, may be folded), `Commutes` (pure, and its two operands may change
//!   places), `Traps` (may trap, else pure), `Reads`, `Writes` (memory).
//! - *semantics*: a method of `Machine` (one primitive) or of `Semantics` (a body), which takes
//!   the immediates and then the operands; `<..>` gives the types that operands do not.
//! - A result `bool` is an i32 for the guest; branches can take it as a condition.

#[macro_export]
#[doc(hidden)]
macro_rules! for_each_op {
    ([$($then:tt)*] $($more:tt)*) => { $($then)*! { $($more)* {
I32Load           [0x28]       "i32.load"            Mvp                  Reads    {at: MemArg} (address: i32)         -> i32  = load;
I64Load           [0x29]       "i64.load"            Mvp                  Reads    {at: MemArg} (address: i32)         -> i64  = load;
F32Load           [0x2A]       "f32.load"            Mvp                  Reads    {at: MemArg} (address: i32)         -> f32  = load;
F64Load           [0x2B]       "f64.load"            Mvp                  Reads    {at: MemArg} (address: i32)         -> f64  = load;
I32Load8S         [0x2C]       "i32.load8_s"         Mvp                  Reads    {at: MemArg} (address: i32)         -> i32  = load_s<i8, _>;
I32Load8U         [0x2D]       "i32.load8_u"         Mvp                  Reads    {at: MemArg} (address: i32)         -> i32  = load_u<i8, _>;
I32Load16S        [0x2E]       "i32.load16_s"        Mvp                  Reads    {at: MemArg} (address: i32)         -> i32  = load_s<i16, _>;
I32Load16U        [0x2F]       "i32.load16_u"        Mvp                  Reads    {at: MemArg} (address: i32)         -> i32  = load_u<i16, _>;
I64Load8S         [0x30]       "i64.load8_s"         Mvp                  Reads    {at: MemArg} (address: i32)         -> i64  = load_s<i8, _>;
I64Load8U         [0x31]       "i64.load8_u"         Mvp                  Reads    {at: MemArg} (address: i32)         -> i64  = load_u<i8, _>;
I64Load16S        [0x32]       "i64.load16_s"        Mvp                  Reads    {at: MemArg} (address: i32)         -> i64  = load_s<i16, _>;
I64Load16U        [0x33]       "i64.load16_u"        Mvp                  Reads    {at: MemArg} (address: i32)         -> i64  = load_u<i16, _>;
I64Load32S        [0x34]       "i64.load32_s"        Mvp                  Reads    {at: MemArg} (address: i32)         -> i64  = load_s<i32, _>;
I64Load32U        [0x35]       "i64.load32_u"        Mvp                  Reads    {at: MemArg} (address: i32)         -> i64  = load_u<i32, _>;
I32Store          [0x36]       "i32.store"           Mvp                  Writes   {at: MemArg} (address: i32, x: i32) -> ()   = store;
I64Store          [0x37]       "i64.store"           Mvp                  Writes   {at: MemArg} (address: i32, x: i64) -> ()   = store;
F32Store          [0x38]       "f32.store"           Mvp                  Writes   {at: MemArg} (address: i32, x: f32) -> ()   = store;
F64Store          [0x39]       "f64.store"           Mvp                  Writes   {at: MemArg} (address: i32, x: f64) -> ()   = store;
I32Store8         [0x3A]       "i32.store8"          Mvp                  Writes   {at: MemArg} (address: i32, x: i32) -> ()   = store_low<i8, _>;
I32Store16        [0x3B]       "i32.store16"         Mvp                  Writes   {at: MemArg} (address: i32, x: i32) -> ()   = store_low<i16, _>;
I64Store8         [0x3C]       "i64.store8"          Mvp                  Writes   {at: MemArg} (address: i32, x: i64) -> ()   = store_low<i8, _>;
I64Store16        [0x3D]       "i64.store16"         Mvp                  Writes   {at: MemArg} (address: i32, x: i64) -> ()   = store_low<i16, _>;
I64Store32        [0x3E]       "i64.store32"         Mvp                  Writes   {at: MemArg} (address: i32, x: i64) -> ()   = store_low<i32, _>;
I32Eqz            [0x45]       "i32.eqz"             Mvp                  Pure     {}           (a: i32)               -> bool = eqz;
I32Eq             [0x46]       "i32.eq"              Mvp                  Commutes {}           (a: i32, b: i32)       -> bool = eq;
I32Ne             [0x47]       "i32.ne"              Mvp                  Commutes {}           (a: i32, b: i32)       -> bool = ne;
I32LtS            [0x48]       "i32.lt_s"            Mvp                  Pure     {}           (a: i32, b: i32)       -> bool = lt_s;
I32LtU            [0x49]       "i32.lt_u"            Mvp                  Pure     {}           (a: i32, b: i32)       -> bool = lt_u;
I32GtS            [0x4A]       "i32.gt_s"            Mvp                  Pure     {}           (a: i32, b: i32)       -> bool = gt_s;
I32GtU            [0x4B]       "i32.gt_u"            Mvp                  Pure     {}           (a: i32, b: i32)       -> bool = gt_u;
I32LeS            [0x4C]       "i32.le_s"            Mvp                  Pure     {}           (a: i32, b: i32)       -> bool = le_s;
I32LeU            [0x4D]       "i32.le_u"            Mvp                  Pure     {}           (a: i32, b: i32)       -> bool = le_u;
I32GeS            [0x4E]       "i32.ge_s"            Mvp                  Pure     {}           (a: i32, b: i32)       -> bool = ge_s;
I32GeU            [0x4F]       "i32.ge_u"            Mvp                  Pure     {}           (a: i32, b: i32)       -> bool = ge_u;
I64Eqz            [0x50]       "i64.eqz"             Mvp                  Pure     {}           (a: i64)               -> bool = eqz;
I64Eq             [0x51]       "i64.eq"              Mvp                  Commutes {}           (a: i64, b: i64)       -> bool = eq;
I64Ne             [0x52]       "i64.ne"              Mvp                  Commutes {}           (a: i64, b: i64)       -> bool = ne;
I64LtS            [0x53]       "i64.lt_s"            Mvp                  Pure     {}           (a: i64, b: i64)       -> bool = lt_s;
I64LtU            [0x54]       "i64.lt_u"            Mvp                  Pure     {}           (a: i64, b: i64)       -> bool = lt_u;
I64GtS            [0x55]       "i64.gt_s"            Mvp                  Pure     {}           (a: i64, b: i64)       -> bool = gt_s;
I64GtU            [0x56]       "i64.gt_u"            Mvp                  Pure     {}           (a: i64, b: i64)       -> bool = gt_u;
I64LeS            [0x57]       "i64.le_s"            Mvp                  Pure     {}           (a: i64, b: i64)       -> bool = le_s;
I64LeU            [0x58]       "i64.le_u"            Mvp                  Pure     {}           (a: i64, b: i64)       -> bool = le_u;
I64GeS            [0x59]       "i64.ge_s"            Mvp                  Pure     {}           (a: i64, b: i64)       -> bool = ge_s;
I64GeU            [0x5A]       "i64.ge_u"            Mvp                  Pure     {}           (a: i64, b: i64)       -> bool = ge_u;
F32Eq             [0x5B]       "f32.eq"              Mvp                  Commutes {}           (a: f32, b: f32)       -> bool = feq;
F32Ne             [0x5C]       "f32.ne"              Mvp                  Commutes {}           (a: f32, b: f32)       -> bool = fne;
F32Lt             [0x5D]       "f32.lt"              Mvp                  Pure     {}           (a: f32, b: f32)       -> bool = flt;
F32Gt             [0x5E]       "f32.gt"              Mvp                  Pure     {}           (a: f32, b: f32)       -> bool = fgt;
F32Le             [0x5F]       "f32.le"              Mvp                  Pure     {}           (a: f32, b: f32)       -> bool = fle;
F32Ge             [0x60]       "f32.ge"              Mvp                  Pure     {}           (a: f32, b: f32)       -> bool = fge;
F64Eq             [0x61]       "f64.eq"              Mvp                  Commutes {}           (a: f64, b: f64)       -> bool = feq;
F64Ne             [0x62]       "f64.ne"              Mvp                  Commutes {}           (a: f64, b: f64)       -> bool = fne;
F64Lt             [0x63]       "f64.lt"              Mvp                  Pure     {}           (a: f64, b: f64)       -> bool = flt;
F64Gt             [0x64]       "f64.gt"              Mvp                  Pure     {}           (a: f64, b: f64)       -> bool = fgt;
F64Le             [0x65]       "f64.le"              Mvp                  Pure     {}           (a: f64, b: f64)       -> bool = fle;
F64Ge             [0x66]       "f64.ge"              Mvp                  Pure     {}           (a: f64, b: f64)       -> bool = fge;
I32Clz            [0x67]       "i32.clz"             Mvp                  Pure     {}           (a: i32)               -> i32  = clz;
I32Ctz            [0x68]       "i32.ctz"             Mvp                  Pure     {}           (a: i32)               -> i32  = ctz;
I32Popcnt         [0x69]       "i32.popcnt"          Mvp                  Pure     {}           (a: i32)               -> i32  = popcnt;
I32Add            [0x6A]       "i32.add"             Mvp                  Commutes {}           (a: i32, b: i32)       -> i32  = iadd;
I32Sub            [0x6B]       "i32.sub"             Mvp                  Pure     {}           (a: i32, b: i32)       -> i32  = isub;
I32Mul            [0x6C]       "i32.mul"             Mvp                  Commutes {}           (a: i32, b: i32)       -> i32  = imul;
I32DivS           [0x6D]       "i32.div_s"           Mvp                  Traps    {}           (a: i32, b: i32)       -> i32  = div_s;
I32DivU           [0x6E]       "i32.div_u"           Mvp                  Traps    {}           (a: i32, b: i32)       -> i32  = div_u;
I32RemS           [0x6F]       "i32.rem_s"           Mvp                  Traps    {}           (a: i32, b: i32)       -> i32  = rem_s;
I32RemU           [0x70]       "i32.rem_u"           Mvp                  Traps    {}           (a: i32, b: i32)       -> i32  = rem_u;
I32And            [0x71]       "i32.and"             Mvp                  Commutes {}           (a: i32, b: i32)       -> i32  = band;
I32Or             [0x72]       "i32.or"              Mvp                  Commutes {}           (a: i32, b: i32)       -> i32  = bor;
I32Xor            [0x73]       "i32.xor"             Mvp                  Commutes {}           (a: i32, b: i32)       -> i32  = bxor;
I32Shl            [0x74]       "i32.shl"             Mvp                  Pure     {}           (a: i32, b: i32)       -> i32  = ishl;
I32ShrS           [0x75]       "i32.shr_s"           Mvp                  Pure     {}           (a: i32, b: i32)       -> i32  = sshr;
I32ShrU           [0x76]       "i32.shr_u"           Mvp                  Pure     {}           (a: i32, b: i32)       -> i32  = ushr;
I32Rotl           [0x77]       "i32.rotl"            Mvp                  Pure     {}           (a: i32, b: i32)       -> i32  = rotl;
I32Rotr           [0x78]       "i32.rotr"            Mvp                  Pure     {}           (a: i32, b: i32)       -> i32  = rotr;
I64Clz            [0x79]       "i64.clz"             Mvp                  Pure     {}           (a: i64)               -> i64  = clz;
I64Ctz            [0x7A]       "i64.ctz"             Mvp                  Pure     {}           (a: i64)               -> i64  = ctz;
I64Popcnt         [0x7B]       "i64.popcnt"          Mvp                  Pure     {}           (a: i64)               -> i64  = popcnt;
I64Add            [0x7C]       "i64.add"             Mvp                  Commutes {}           (a: i64, b: i64)       -> i64  = iadd;
I64Sub            [0x7D]       "i64.sub"             Mvp                  Pure     {}           (a: i64, b: i64)       -> i64  = isub;
I64Mul            [0x7E]       "i64.mul"             Mvp                  Commutes {}           (a: i64, b: i64)       -> i64  = imul;
I64DivS           [0x7F]       "i64.div_s"           Mvp                  Traps    {}           (a: i64, b: i64)       -> i64  = div_s;
I64DivU           [0x80]       "i64.div_u"           Mvp                  Traps    {}           (a: i64, b: i64)       -> i64  = div_u;
I64RemS           [0x81]       "i64.rem_s"           Mvp                  Traps    {}           (a: i64, b: i64)       -> i64  = rem_s;
I64RemU           [0x82]       "i64.rem_u"           Mvp                  Traps    {}           (a: i64, b: i64)       -> i64  = rem_u;
I64And            [0x83]       "i64.and"             Mvp                  Commutes {}           (a: i64, b: i64)       -> i64  = band;
I64Or             [0x84]       "i64.or"              Mvp                  Commutes {}           (a: i64, b: i64)       -> i64  = bor;
I64Xor            [0x85]       "i64.xor"             Mvp                  Commutes {}           (a: i64, b: i64)       -> i64  = bxor;
I64Shl            [0x86]       "i64.shl"             Mvp                  Pure     {}           (a: i64, b: i64)       -> i64  = ishl;
I64ShrS           [0x87]       "i64.shr_s"           Mvp                  Pure     {}           (a: i64, b: i64)       -> i64  = sshr;
I64ShrU           [0x88]       "i64.shr_u"           Mvp                  Pure     {}           (a: i64, b: i64)       -> i64  = ushr;
I64Rotl           [0x89]       "i64.rotl"            Mvp                  Pure     {}           (a: i64, b: i64)       -> i64  = rotl;
I64Rotr           [0x8A]       "i64.rotr"            Mvp                  Pure     {}           (a: i64, b: i64)       -> i64  = rotr;
F32Abs            [0x8B]       "f32.abs"             Mvp                  Pure     {}           (a: f32)               -> f32  = fabs;
F32Neg            [0x8C]       "f32.neg"             Mvp                  Pure     {}           (a: f32)               -> f32  = fneg;
F32Ceil           [0x8D]       "f32.ceil"            Mvp                  Pure     {}           (a: f32)               -> f32  = ceil;
F32Floor          [0x8E]       "f32.floor"           Mvp                  Pure     {}           (a: f32)               -> f32  = floor;
F32Trunc          [0x8F]       "f32.trunc"           Mvp                  Pure     {}           (a: f32)               -> f32  = ftrunc;
F32Nearest        [0x90]       "f32.nearest"         Mvp                  Pure     {}           (a: f32)               -> f32  = nearest;
F32Sqrt           [0x91]       "f32.sqrt"            Mvp                  Pure     {}           (a: f32)               -> f32  = sqrt;
F32Add            [0x92]       "f32.add"             Mvp                  Pure     {}           (a: f32, b: f32)       -> f32  = fadd;
F32Sub            [0x93]       "f32.sub"             Mvp                  Pure     {}           (a: f32, b: f32)       -> f32  = fsub;
F32Mul            [0x94]       "f32.mul"             Mvp                  Pure     {}           (a: f32, b: f32)       -> f32  = fmul;
F32Div            [0x95]       "f32.div"             Mvp                  Pure     {}           (a: f32, b: f32)       -> f32  = fdiv;
F32Min            [0x96]       "f32.min"             Mvp                  Pure     {}           (a: f32, b: f32)       -> f32  = fmin;
F32Max            [0x97]       "f32.max"             Mvp                  Pure     {}           (a: f32, b: f32)       -> f32  = fmax;
F32Copysign       [0x98]       "f32.copysign"        Mvp                  Pure     {}           (a: f32, b: f32)       -> f32  = fcopysign;
F64Abs            [0x99]       "f64.abs"             Mvp                  Pure     {}           (a: f64)               -> f64  = fabs;
F64Neg            [0x9A]       "f64.neg"             Mvp                  Pure     {}           (a: f64)               -> f64  = fneg;
F64Ceil           [0x9B]       "f64.ceil"            Mvp                  Pure     {}           (a: f64)               -> f64  = ceil;
F64Floor          [0x9C]       "f64.floor"           Mvp                  Pure     {}           (a: f64)               -> f64  = floor;
F64Trunc          [0x9D]       "f64.trunc"           Mvp                  Pure     {}           (a: f64)               -> f64  = ftrunc;
F64Nearest        [0x9E]       "f64.nearest"         Mvp                  Pure     {}           (a: f64)               -> f64  = nearest;
F64Sqrt           [0x9F]       "f64.sqrt"            Mvp                  Pure     {}           (a: f64)               -> f64  = sqrt;
F64Add            [0xA0]       "f64.add"             Mvp                  Pure     {}           (a: f64, b: f64)       -> f64  = fadd;
F64Sub            [0xA1]       "f64.sub"             Mvp                  Pure     {}           (a: f64, b: f64)       -> f64  = fsub;
F64Mul            [0xA2]       "f64.mul"             Mvp                  Pure     {}           (a: f64, b: f64)       -> f64  = fmul;
F64Div            [0xA3]       "f64.div"             Mvp                  Pure     {}           (a: f64, b: f64)       -> f64  = fdiv;
F64Min            [0xA4]       "f64.min"             Mvp                  Pure     {}           (a: f64, b: f64)       -> f64  = fmin;
F64Max            [0xA5]       "f64.max"             Mvp                  Pure     {}           (a: f64, b: f64)       -> f64  = fmax;
F64Copysign       [0xA6]       "f64.copysign"        Mvp                  Pure     {}           (a: f64, b: f64)       -> f64  = fcopysign;
I32WrapI64        [0xA7]       "i32.wrap_i64"        Mvp                  Pure     {}           (a: i64)               -> i32  = ireduce;
I32TruncF32S      [0xA8]       "i32.trunc_f32_s"     Mvp                  Traps    {}           (a: f32)               -> i32  = trunc_s;
I32TruncF32U      [0xA9]       "i32.trunc_f32_u"     Mvp                  Traps    {}           (a: f32)               -> i32  = trunc_u;
I32TruncF64S      [0xAA]       "i32.trunc_f64_s"     Mvp                  Traps    {}           (a: f64)               -> i32  = trunc_s;
I32TruncF64U      [0xAB]       "i32.trunc_f64_u"     Mvp                  Traps    {}           (a: f64)               -> i32  = trunc_u;
I64ExtendI32S     [0xAC]       "i64.extend_i32_s"    Mvp                  Pure     {}           (a: i32)               -> i64  = sextend;
I64ExtendI32U     [0xAD]       "i64.extend_i32_u"    Mvp                  Pure     {}           (a: i32)               -> i64  = uextend;
I64TruncF32S      [0xAE]       "i64.trunc_f32_s"     Mvp                  Traps    {}           (a: f32)               -> i64  = trunc_s;
I64TruncF32U      [0xAF]       "i64.trunc_f32_u"     Mvp                  Traps    {}           (a: f32)               -> i64  = trunc_u;
I64TruncF64S      [0xB0]       "i64.trunc_f64_s"     Mvp                  Traps    {}           (a: f64)               -> i64  = trunc_s;
I64TruncF64U      [0xB1]       "i64.trunc_f64_u"     Mvp                  Traps    {}           (a: f64)               -> i64  = trunc_u;
F32ConvertI32S    [0xB2]       "f32.convert_i32_s"   Mvp                  Pure     {}           (a: i32)               -> f32  = fcvt_from_sint;
F32ConvertI32U    [0xB3]       "f32.convert_i32_u"   Mvp                  Pure     {}           (a: i32)               -> f32  = fcvt_from_uint;
F32ConvertI64S    [0xB4]       "f32.convert_i64_s"   Mvp                  Pure     {}           (a: i64)               -> f32  = fcvt_from_sint;
F32ConvertI64U    [0xB5]       "f32.convert_i64_u"   Mvp                  Pure     {}           (a: i64)               -> f32  = fcvt_from_uint;
F32DemoteF64      [0xB6]       "f32.demote_f64"      Mvp                  Pure     {}           (a: f64)               -> f32  = fdemote;
F64ConvertI32S    [0xB7]       "f64.convert_i32_s"   Mvp                  Pure     {}           (a: i32)               -> f64  = fcvt_from_sint;
F64ConvertI32U    [0xB8]       "f64.convert_i32_u"   Mvp                  Pure     {}           (a: i32)               -> f64  = fcvt_from_uint;
F64ConvertI64S    [0xB9]       "f64.convert_i64_s"   Mvp                  Pure     {}           (a: i64)               -> f64  = fcvt_from_sint;
F64ConvertI64U    [0xBA]       "f64.convert_i64_u"   Mvp                  Pure     {}           (a: i64)               -> f64  = fcvt_from_uint;
F64PromoteF32     [0xBB]       "f64.promote_f32"     Mvp                  Pure     {}           (a: f32)               -> f64  = fpromote;
I32ReinterpretF32 [0xBC]       "i32.reinterpret_f32" Mvp                  Pure     {}           (a: f32)               -> i32  = bitcast;
I64ReinterpretF64 [0xBD]       "i64.reinterpret_f64" Mvp                  Pure     {}           (a: f64)               -> i64  = bitcast;
F32ReinterpretI32 [0xBE]       "f32.reinterpret_i32" Mvp                  Pure     {}           (a: i32)               -> f32  = bitcast;
F64ReinterpretI64 [0xBF]       "f64.reinterpret_i64" Mvp                  Pure     {}           (a: i64)               -> f64  = bitcast;
I32Extend8S       [0xC0]       "i32.extend8_s"       SignExtension        Pure     {}           (a: i32)               -> i32  = extend_low<i8, _>;
I32Extend16S      [0xC1]       "i32.extend16_s"      SignExtension        Pure     {}           (a: i32)               -> i32  = extend_low<i16, _>;
I64Extend8S       [0xC2]       "i64.extend8_s"       SignExtension        Pure     {}           (a: i64)               -> i64  = extend_low<i8, _>;
I64Extend16S      [0xC3]       "i64.extend16_s"      SignExtension        Pure     {}           (a: i64)               -> i64  = extend_low<i16, _>;
I64Extend32S      [0xC4]       "i64.extend32_s"      SignExtension        Pure     {}           (a: i64)               -> i64  = extend_low<i32, _>;
I32TruncSatF32S   [0xFC, 0x00] "i32.trunc_sat_f32_s" SaturatingFloatToInt Pure     {}           (a: f32)               -> i32  = fcvt_to_sint_sat;
I32TruncSatF32U   [0xFC, 0x01] "i32.trunc_sat_f32_u" SaturatingFloatToInt Pure     {}           (a: f32)               -> i32  = fcvt_to_uint_sat;
I32TruncSatF64S   [0xFC, 0x02] "i32.trunc_sat_f64_s" SaturatingFloatToInt Pure     {}           (a: f64)               -> i32  = fcvt_to_sint_sat;
I32TruncSatF64U   [0xFC, 0x03] "i32.trunc_sat_f64_u" SaturatingFloatToInt Pure     {}           (a: f64)               -> i32  = fcvt_to_uint_sat;
I64TruncSatF32S   [0xFC, 0x04] "i64.trunc_sat_f32_s" SaturatingFloatToInt Pure     {}           (a: f32)               -> i64  = fcvt_to_sint_sat;
I64TruncSatF32U   [0xFC, 0x05] "i64.trunc_sat_f32_u" SaturatingFloatToInt Pure     {}           (a: f32)               -> i64  = fcvt_to_uint_sat;
I64TruncSatF64S   [0xFC, 0x06] "i64.trunc_sat_f64_s" SaturatingFloatToInt Pure     {}           (a: f64)               -> i64  = fcvt_to_sint_sat;
I64TruncSatF64U   [0xFC, 0x07] "i64.trunc_sat_f64_u" SaturatingFloatToInt Pure     {}           (a: f64)               -> i64  = fcvt_to_uint_sat;
    } } };
}
