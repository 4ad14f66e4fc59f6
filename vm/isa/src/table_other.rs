//! The instructions that are no functions of their operands: control, moves, memories, tables, and
//! what waits for its semantics. What they do is written once for each tier.
//!
//! ```text
//! Name  [bytes]  "text name"  Feature  Effect  {immediates};
//! ```
//!
//! - *Effect*: `Control`, `Move` (values only change place), `Runtime` (one shared function of the
//!   engine does it), `Gc`, `Atomic`.
//! - *immediates*: named kinds, see `ImmediateKind`, in the order of the bytecode.

#[macro_export]
#[doc(hidden)]
macro_rules! for_each_other {
    ([$($then:tt)*] $($more:tt)*) => { $($then)*! { $($more)* {
// Control.
Unreachable            [0x00]       "unreachable"                Mvp                Control {};
Nop                    [0x01]       "nop"                        Mvp                Control {};
Block                  [0x02]       "block"                      Mvp                Control {ty: BlockType};
Loop                   [0x03]       "loop"                       Mvp                Control {ty: BlockType};
If                     [0x04]       "if"                         Mvp                Control {ty: BlockType};
Else                   [0x05]       "else"                       Mvp                Control {};
Throw                  [0x08]       "throw"                      Exceptions         Control {tag: Tag};
ThrowRef               [0x0A]       "throw_ref"                  Exceptions         Control {};
End                    [0x0B]       "end"                        Mvp                Control {};
Br                     [0x0C]       "br"                         Mvp                Control {label: Label};
BrIf                   [0x0D]       "br_if"                      Mvp                Control {label: Label};
BrTable                [0x0E]       "br_table"                   Mvp                Control {labels: LabelTable};
Return                 [0x0F]       "return"                     Mvp                Control {};
Call                   [0x10]       "call"                       Mvp                Control {function: Func};
CallIndirect           [0x11]       "call_indirect"              Mvp                Control {ty: Type, table: Table};
ReturnCall             [0x12]       "return_call"                TailCall           Control {function: Func};
ReturnCallIndirect     [0x13]       "return_call_indirect"       TailCall           Control {ty: Type, table: Table};
CallRef                [0x14]       "call_ref"                   FunctionReferences Control {ty: Type};
ReturnCallRef          [0x15]       "return_call_ref"            FunctionReferences Control {ty: Type};
TryTable               [0x1F]       "try_table"                  Exceptions         Control {ty: BlockType, catches: Catches};
BrOnNull               [0xD5]       "br_on_null"                 FunctionReferences Control {label: Label};
BrOnNonNull            [0xD6]       "br_on_non_null"             FunctionReferences Control {label: Label};
BrOnCast               [0xFB, 0x18] "br_on_cast"                 Gc                 Control {cast: BranchOnCast};
BrOnCastFail           [0xFB, 0x19] "br_on_cast_fail"            Gc                 Control {cast: BranchOnCast};
// Values that only move.
Drop                   [0x1A]       "drop"                       Mvp                Move    {};
Select                 [0x1B]       "select"                     Mvp                Move    {};
SelectTyped            [0x1C]       "select"                     ReferenceTypes     Move    {types: SelectTypes};
LocalGet               [0x20]       "local.get"                  Mvp                Move    {local: Local};
LocalSet               [0x21]       "local.set"                  Mvp                Move    {local: Local};
LocalTee               [0x22]       "local.tee"                  Mvp                Move    {local: Local};
GlobalGet              [0x23]       "global.get"                 Mvp                Move    {global: Global};
GlobalSet              [0x24]       "global.set"                 Mvp                Move    {global: Global};
I32Const               [0x41]       "i32.const"                  Mvp                Move    {value: I32};
I64Const               [0x42]       "i64.const"                  Mvp                Move    {value: I64};
F32Const               [0x43]       "f32.const"                  Mvp                Move    {value: F32};
F64Const               [0x44]       "f64.const"                  Mvp                Move    {value: F64};
V128Const              [0xFD, 0x0C] "v128.const"                 Simd               Move    {value: V128};
RefNull                [0xD0]       "ref.null"                   ReferenceTypes     Move    {heap: HeapType};
RefIsNull              [0xD1]       "ref.is_null"                ReferenceTypes     Move    {};
RefFunc                [0xD2]       "ref.func"                   ReferenceTypes     Move    {function: Func};
RefEq                  [0xD3]       "ref.eq"                     Gc                 Move    {};
RefAsNonNull           [0xD4]       "ref.as_non_null"            FunctionReferences Control {};
// Memories and tables.
MemorySize             [0x3F]       "memory.size"                Mvp                Runtime {memory: Memory};
MemoryGrow             [0x40]       "memory.grow"                Mvp                Runtime {memory: Memory};
MemoryInit             [0xFC, 0x08] "memory.init"                BulkMemory         Runtime {data: Data, memory: Memory};
DataDrop               [0xFC, 0x09] "data.drop"                  BulkMemory         Runtime {data: Data};
MemoryCopy             [0xFC, 0x0A] "memory.copy"                BulkMemory         Runtime {to: Memory, from: Memory};
MemoryFill             [0xFC, 0x0B] "memory.fill"                BulkMemory         Runtime {memory: Memory};
TableGet               [0x25]       "table.get"                  ReferenceTypes     Runtime {table: Table};
TableSet               [0x26]       "table.set"                  ReferenceTypes     Runtime {table: Table};
TableInit              [0xFC, 0x0C] "table.init"                 BulkMemory         Runtime {elements: Elem, table: Table};
ElemDrop               [0xFC, 0x0D] "elem.drop"                  BulkMemory         Runtime {elements: Elem};
TableCopy              [0xFC, 0x0E] "table.copy"                 BulkMemory         Runtime {to: Table, from: Table};
TableGrow              [0xFC, 0x0F] "table.grow"                 ReferenceTypes     Runtime {table: Table};
TableSize              [0xFC, 0x10] "table.size"                 ReferenceTypes     Runtime {table: Table};
TableFill              [0xFC, 0x11] "table.fill"                 ReferenceTypes     Runtime {table: Table};
// Garbage collection.
StructNew              [0xFB, 0x00] "struct.new"                 Gc                 Gc      {ty: Type};
StructNewDefault       [0xFB, 0x01] "struct.new_default"         Gc                 Gc      {ty: Type};
StructGet              [0xFB, 0x02] "struct.get"                 Gc                 Gc      {ty: Type, field: Field};
StructGetS             [0xFB, 0x03] "struct.get_s"               Gc                 Gc      {ty: Type, field: Field};
StructGetU             [0xFB, 0x04] "struct.get_u"               Gc                 Gc      {ty: Type, field: Field};
StructSet              [0xFB, 0x05] "struct.set"                 Gc                 Gc      {ty: Type, field: Field};
ArrayNew               [0xFB, 0x06] "array.new"                  Gc                 Gc      {ty: Type};
ArrayNewDefault        [0xFB, 0x07] "array.new_default"          Gc                 Gc      {ty: Type};
ArrayNewFixed          [0xFB, 0x08] "array.new_fixed"            Gc                 Gc      {ty: Type, count: Count};
ArrayNewData           [0xFB, 0x09] "array.new_data"             Gc                 Gc      {ty: Type, data: Data};
ArrayNewElem           [0xFB, 0x0A] "array.new_elem"             Gc                 Gc      {ty: Type, elements: Elem};
ArrayGet               [0xFB, 0x0B] "array.get"                  Gc                 Gc      {ty: Type};
ArrayGetS              [0xFB, 0x0C] "array.get_s"                Gc                 Gc      {ty: Type};
ArrayGetU              [0xFB, 0x0D] "array.get_u"                Gc                 Gc      {ty: Type};
ArraySet               [0xFB, 0x0E] "array.set"                  Gc                 Gc      {ty: Type};
ArrayLen               [0xFB, 0x0F] "array.len"                  Gc                 Gc      {};
ArrayFill              [0xFB, 0x10] "array.fill"                 Gc                 Gc      {ty: Type};
ArrayCopy              [0xFB, 0x11] "array.copy"                 Gc                 Gc      {to: Type, from: Type};
ArrayInitData          [0xFB, 0x12] "array.init_data"            Gc                 Gc      {ty: Type, data: Data};
ArrayInitElem          [0xFB, 0x13] "array.init_elem"            Gc                 Gc      {ty: Type, elements: Elem};
RefTest                [0xFB, 0x14] "ref.test"                   Gc                 Gc      {to: RefType};
RefTestNull            [0xFB, 0x15] "ref.test"                   Gc                 Gc      {to: RefTypeNull};
RefCast                [0xFB, 0x16] "ref.cast"                   Gc                 Gc      {to: RefType};
RefCastNull            [0xFB, 0x17] "ref.cast"                   Gc                 Gc      {to: RefTypeNull};
AnyConvertExtern       [0xFB, 0x1A] "any.convert_extern"         Gc                 Gc      {};
ExternConvertAny       [0xFB, 0x1B] "extern.convert_any"         Gc                 Gc      {};
RefI31                 [0xFB, 0x1C] "ref.i31"                    Gc                 Gc      {};
I31GetS                [0xFB, 0x1D] "i31.get_s"                  Gc                 Gc      {};
I31GetU                [0xFB, 0x1E] "i31.get_u"                  Gc                 Gc      {};
// Atomics of the threads proposal.
MemoryAtomicNotify     [0xFE, 0x00] "memory.atomic.notify"       Threads            Atomic  {at: MemArg};
MemoryAtomicWait32     [0xFE, 0x01] "memory.atomic.wait32"       Threads            Atomic  {at: MemArg};
MemoryAtomicWait64     [0xFE, 0x02] "memory.atomic.wait64"       Threads            Atomic  {at: MemArg};
AtomicFence            [0xFE, 0x03] "atomic.fence"               Threads            Atomic  {reserved: Zero};
I32AtomicLoad          [0xFE, 0x10] "i32.atomic.load"            Threads            Atomic  {at: MemArg};
I64AtomicLoad          [0xFE, 0x11] "i64.atomic.load"            Threads            Atomic  {at: MemArg};
I32AtomicLoad8U        [0xFE, 0x12] "i32.atomic.load8_u"         Threads            Atomic  {at: MemArg};
I32AtomicLoad16U       [0xFE, 0x13] "i32.atomic.load16_u"        Threads            Atomic  {at: MemArg};
I64AtomicLoad8U        [0xFE, 0x14] "i64.atomic.load8_u"         Threads            Atomic  {at: MemArg};
I64AtomicLoad16U       [0xFE, 0x15] "i64.atomic.load16_u"        Threads            Atomic  {at: MemArg};
I64AtomicLoad32U       [0xFE, 0x16] "i64.atomic.load32_u"        Threads            Atomic  {at: MemArg};
I32AtomicStore         [0xFE, 0x17] "i32.atomic.store"           Threads            Atomic  {at: MemArg};
I64AtomicStore         [0xFE, 0x18] "i64.atomic.store"           Threads            Atomic  {at: MemArg};
I32AtomicStore8        [0xFE, 0x19] "i32.atomic.store8"          Threads            Atomic  {at: MemArg};
I32AtomicStore16       [0xFE, 0x1A] "i32.atomic.store16"         Threads            Atomic  {at: MemArg};
I64AtomicStore8        [0xFE, 0x1B] "i64.atomic.store8"          Threads            Atomic  {at: MemArg};
I64AtomicStore16       [0xFE, 0x1C] "i64.atomic.store16"         Threads            Atomic  {at: MemArg};
I64AtomicStore32       [0xFE, 0x1D] "i64.atomic.store32"         Threads            Atomic  {at: MemArg};
I32AtomicRmwAdd        [0xFE, 0x1E] "i32.atomic.rmw.add"         Threads            Atomic  {at: MemArg};
I64AtomicRmwAdd        [0xFE, 0x1F] "i64.atomic.rmw.add"         Threads            Atomic  {at: MemArg};
I32AtomicRmw8AddU      [0xFE, 0x20] "i32.atomic.rmw8.add_u"      Threads            Atomic  {at: MemArg};
I32AtomicRmw16AddU     [0xFE, 0x21] "i32.atomic.rmw16.add_u"     Threads            Atomic  {at: MemArg};
I64AtomicRmw8AddU      [0xFE, 0x22] "i64.atomic.rmw8.add_u"      Threads            Atomic  {at: MemArg};
I64AtomicRmw16AddU     [0xFE, 0x23] "i64.atomic.rmw16.add_u"     Threads            Atomic  {at: MemArg};
I64AtomicRmw32AddU     [0xFE, 0x24] "i64.atomic.rmw32.add_u"     Threads            Atomic  {at: MemArg};
I32AtomicRmwSub        [0xFE, 0x25] "i32.atomic.rmw.sub"         Threads            Atomic  {at: MemArg};
I64AtomicRmwSub        [0xFE, 0x26] "i64.atomic.rmw.sub"         Threads            Atomic  {at: MemArg};
I32AtomicRmw8SubU      [0xFE, 0x27] "i32.atomic.rmw8.sub_u"      Threads            Atomic  {at: MemArg};
I32AtomicRmw16SubU     [0xFE, 0x28] "i32.atomic.rmw16.sub_u"     Threads            Atomic  {at: MemArg};
I64AtomicRmw8SubU      [0xFE, 0x29] "i64.atomic.rmw8.sub_u"      Threads            Atomic  {at: MemArg};
I64AtomicRmw16SubU     [0xFE, 0x2A] "i64.atomic.rmw16.sub_u"     Threads            Atomic  {at: MemArg};
I64AtomicRmw32SubU     [0xFE, 0x2B] "i64.atomic.rmw32.sub_u"     Threads            Atomic  {at: MemArg};
I32AtomicRmwAnd        [0xFE, 0x2C] "i32.atomic.rmw.and"         Threads            Atomic  {at: MemArg};
I64AtomicRmwAnd        [0xFE, 0x2D] "i64.atomic.rmw.and"         Threads            Atomic  {at: MemArg};
I32AtomicRmw8AndU      [0xFE, 0x2E] "i32.atomic.rmw8.and_u"      Threads            Atomic  {at: MemArg};
I32AtomicRmw16AndU     [0xFE, 0x2F] "i32.atomic.rmw16.and_u"     Threads            Atomic  {at: MemArg};
I64AtomicRmw8AndU      [0xFE, 0x30] "i64.atomic.rmw8.and_u"      Threads            Atomic  {at: MemArg};
I64AtomicRmw16AndU     [0xFE, 0x31] "i64.atomic.rmw16.and_u"     Threads            Atomic  {at: MemArg};
I64AtomicRmw32AndU     [0xFE, 0x32] "i64.atomic.rmw32.and_u"     Threads            Atomic  {at: MemArg};
I32AtomicRmwOr         [0xFE, 0x33] "i32.atomic.rmw.or"          Threads            Atomic  {at: MemArg};
I64AtomicRmwOr         [0xFE, 0x34] "i64.atomic.rmw.or"          Threads            Atomic  {at: MemArg};
I32AtomicRmw8OrU       [0xFE, 0x35] "i32.atomic.rmw8.or_u"       Threads            Atomic  {at: MemArg};
I32AtomicRmw16OrU      [0xFE, 0x36] "i32.atomic.rmw16.or_u"      Threads            Atomic  {at: MemArg};
I64AtomicRmw8OrU       [0xFE, 0x37] "i64.atomic.rmw8.or_u"       Threads            Atomic  {at: MemArg};
I64AtomicRmw16OrU      [0xFE, 0x38] "i64.atomic.rmw16.or_u"      Threads            Atomic  {at: MemArg};
I64AtomicRmw32OrU      [0xFE, 0x39] "i64.atomic.rmw32.or_u"      Threads            Atomic  {at: MemArg};
I32AtomicRmwXor        [0xFE, 0x3A] "i32.atomic.rmw.xor"         Threads            Atomic  {at: MemArg};
I64AtomicRmwXor        [0xFE, 0x3B] "i64.atomic.rmw.xor"         Threads            Atomic  {at: MemArg};
I32AtomicRmw8XorU      [0xFE, 0x3C] "i32.atomic.rmw8.xor_u"      Threads            Atomic  {at: MemArg};
I32AtomicRmw16XorU     [0xFE, 0x3D] "i32.atomic.rmw16.xor_u"     Threads            Atomic  {at: MemArg};
I64AtomicRmw8XorU      [0xFE, 0x3E] "i64.atomic.rmw8.xor_u"      Threads            Atomic  {at: MemArg};
I64AtomicRmw16XorU     [0xFE, 0x3F] "i64.atomic.rmw16.xor_u"     Threads            Atomic  {at: MemArg};
I64AtomicRmw32XorU     [0xFE, 0x40] "i64.atomic.rmw32.xor_u"     Threads            Atomic  {at: MemArg};
I32AtomicRmwXchg       [0xFE, 0x41] "i32.atomic.rmw.xchg"        Threads            Atomic  {at: MemArg};
I64AtomicRmwXchg       [0xFE, 0x42] "i64.atomic.rmw.xchg"        Threads            Atomic  {at: MemArg};
I32AtomicRmw8XchgU     [0xFE, 0x43] "i32.atomic.rmw8.xchg_u"     Threads            Atomic  {at: MemArg};
I32AtomicRmw16XchgU    [0xFE, 0x44] "i32.atomic.rmw16.xchg_u"    Threads            Atomic  {at: MemArg};
I64AtomicRmw8XchgU     [0xFE, 0x45] "i64.atomic.rmw8.xchg_u"     Threads            Atomic  {at: MemArg};
I64AtomicRmw16XchgU    [0xFE, 0x46] "i64.atomic.rmw16.xchg_u"    Threads            Atomic  {at: MemArg};
I64AtomicRmw32XchgU    [0xFE, 0x47] "i64.atomic.rmw32.xchg_u"    Threads            Atomic  {at: MemArg};
I32AtomicRmwCmpxchg    [0xFE, 0x48] "i32.atomic.rmw.cmpxchg"     Threads            Atomic  {at: MemArg};
I64AtomicRmwCmpxchg    [0xFE, 0x49] "i64.atomic.rmw.cmpxchg"     Threads            Atomic  {at: MemArg};
I32AtomicRmw8CmpxchgU  [0xFE, 0x4A] "i32.atomic.rmw8.cmpxchg_u"  Threads            Atomic  {at: MemArg};
I32AtomicRmw16CmpxchgU [0xFE, 0x4B] "i32.atomic.rmw16.cmpxchg_u" Threads            Atomic  {at: MemArg};
I64AtomicRmw8CmpxchgU  [0xFE, 0x4C] "i64.atomic.rmw8.cmpxchg_u"  Threads            Atomic  {at: MemArg};
I64AtomicRmw16CmpxchgU [0xFE, 0x4D] "i64.atomic.rmw16.cmpxchg_u" Threads            Atomic  {at: MemArg};
I64AtomicRmw32CmpxchgU [0xFE, 0x4E] "i64.atomic.rmw32.cmpxchg_u" Threads            Atomic  {at: MemArg};
    } } };
}
