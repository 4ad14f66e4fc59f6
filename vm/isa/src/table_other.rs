//! The instructions that are no functions of their operands: control, moves, memories, tables, and
//! what waits for its semantics. What they do is written once for each tier.
//!
//! ```text
//! Name  [bytes]  "text name"  Feature  Effect  {immediates};
//! ```
//!
//! - *Effect*: `Control`, `Move` (values only change place), `Runtime` (one shared function of the
//!   engine does it), `Gc`.
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
// Waiting and waking, of the threads proposal.
MemoryAtomicNotify     [0xFE, 0x00] "memory.atomic.notify"       Threads            Runtime {at: MemArg};
MemoryAtomicWait32     [0xFE, 0x01] "memory.atomic.wait32"       Threads            Runtime {at: MemArg};
MemoryAtomicWait64     [0xFE, 0x02] "memory.atomic.wait64"       Threads            Runtime {at: MemArg};
AtomicFence            [0xFE, 0x03] "atomic.fence"               Threads            Runtime {reserved: Zero};
    } } };
}
