//! The atomic accesses of the threads proposal, one row each. The form of a row is that of `table.rs`,
//! and `for_each_op!` hands these rows on behind its own.

#[macro_export]
#[doc(hidden)]
macro_rules! for_each_atomic {
    ([$($then:tt)*] $($more:tt)*) => { $($then)*! { $($more)* {
I32AtomicLoad          [0xFE, 0x10] "i32.atomic.load"            Threads Reads  {at: MemArg} (address: i32)                           -> i32 = atomic_get;
I64AtomicLoad          [0xFE, 0x11] "i64.atomic.load"            Threads Reads  {at: MemArg} (address: i32)                           -> i64 = atomic_get;
I32AtomicLoad8U        [0xFE, 0x12] "i32.atomic.load8_u"         Threads Reads  {at: MemArg} (address: i32)                           -> i32 = atomic_get_u<i8, _>;
I32AtomicLoad16U       [0xFE, 0x13] "i32.atomic.load16_u"        Threads Reads  {at: MemArg} (address: i32)                           -> i32 = atomic_get_u<i16, _>;
I64AtomicLoad8U        [0xFE, 0x14] "i64.atomic.load8_u"         Threads Reads  {at: MemArg} (address: i32)                           -> i64 = atomic_get_u<i8, _>;
I64AtomicLoad16U       [0xFE, 0x15] "i64.atomic.load16_u"        Threads Reads  {at: MemArg} (address: i32)                           -> i64 = atomic_get_u<i16, _>;
I64AtomicLoad32U       [0xFE, 0x16] "i64.atomic.load32_u"        Threads Reads  {at: MemArg} (address: i32)                           -> i64 = atomic_get_u<i32, _>;
I32AtomicStore         [0xFE, 0x17] "i32.atomic.store"           Threads Writes {at: MemArg} (address: i32, x: i32)                   -> ()  = atomic_set;
I64AtomicStore         [0xFE, 0x18] "i64.atomic.store"           Threads Writes {at: MemArg} (address: i32, x: i64)                   -> ()  = atomic_set;
I32AtomicStore8        [0xFE, 0x19] "i32.atomic.store8"          Threads Writes {at: MemArg} (address: i32, x: i32)                   -> ()  = atomic_set_low<i8, _>;
I32AtomicStore16       [0xFE, 0x1A] "i32.atomic.store16"         Threads Writes {at: MemArg} (address: i32, x: i32)                   -> ()  = atomic_set_low<i16, _>;
I64AtomicStore8        [0xFE, 0x1B] "i64.atomic.store8"          Threads Writes {at: MemArg} (address: i32, x: i64)                   -> ()  = atomic_set_low<i8, _>;
I64AtomicStore16       [0xFE, 0x1C] "i64.atomic.store16"         Threads Writes {at: MemArg} (address: i32, x: i64)                   -> ()  = atomic_set_low<i16, _>;
I64AtomicStore32       [0xFE, 0x1D] "i64.atomic.store32"         Threads Writes {at: MemArg} (address: i32, x: i64)                   -> ()  = atomic_set_low<i32, _>;
I32AtomicRmwAdd        [0xFE, 0x1E] "i32.atomic.rmw.add"         Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_add;
I64AtomicRmwAdd        [0xFE, 0x1F] "i64.atomic.rmw.add"         Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_add;
I32AtomicRmw8AddU      [0xFE, 0x20] "i32.atomic.rmw8.add_u"      Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_add_u<i8, _>;
I32AtomicRmw16AddU     [0xFE, 0x21] "i32.atomic.rmw16.add_u"     Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_add_u<i16, _>;
I64AtomicRmw8AddU      [0xFE, 0x22] "i64.atomic.rmw8.add_u"      Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_add_u<i8, _>;
I64AtomicRmw16AddU     [0xFE, 0x23] "i64.atomic.rmw16.add_u"     Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_add_u<i16, _>;
I64AtomicRmw32AddU     [0xFE, 0x24] "i64.atomic.rmw32.add_u"     Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_add_u<i32, _>;
I32AtomicRmwSub        [0xFE, 0x25] "i32.atomic.rmw.sub"         Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_sub;
I64AtomicRmwSub        [0xFE, 0x26] "i64.atomic.rmw.sub"         Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_sub;
I32AtomicRmw8SubU      [0xFE, 0x27] "i32.atomic.rmw8.sub_u"      Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_sub_u<i8, _>;
I32AtomicRmw16SubU     [0xFE, 0x28] "i32.atomic.rmw16.sub_u"     Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_sub_u<i16, _>;
I64AtomicRmw8SubU      [0xFE, 0x29] "i64.atomic.rmw8.sub_u"      Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_sub_u<i8, _>;
I64AtomicRmw16SubU     [0xFE, 0x2A] "i64.atomic.rmw16.sub_u"     Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_sub_u<i16, _>;
I64AtomicRmw32SubU     [0xFE, 0x2B] "i64.atomic.rmw32.sub_u"     Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_sub_u<i32, _>;
I32AtomicRmwAnd        [0xFE, 0x2C] "i32.atomic.rmw.and"         Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_and;
I64AtomicRmwAnd        [0xFE, 0x2D] "i64.atomic.rmw.and"         Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_and;
I32AtomicRmw8AndU      [0xFE, 0x2E] "i32.atomic.rmw8.and_u"      Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_and_u<i8, _>;
I32AtomicRmw16AndU     [0xFE, 0x2F] "i32.atomic.rmw16.and_u"     Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_and_u<i16, _>;
I64AtomicRmw8AndU      [0xFE, 0x30] "i64.atomic.rmw8.and_u"      Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_and_u<i8, _>;
I64AtomicRmw16AndU     [0xFE, 0x31] "i64.atomic.rmw16.and_u"     Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_and_u<i16, _>;
I64AtomicRmw32AndU     [0xFE, 0x32] "i64.atomic.rmw32.and_u"     Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_and_u<i32, _>;
I32AtomicRmwOr         [0xFE, 0x33] "i32.atomic.rmw.or"          Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_or;
I64AtomicRmwOr         [0xFE, 0x34] "i64.atomic.rmw.or"          Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_or;
I32AtomicRmw8OrU       [0xFE, 0x35] "i32.atomic.rmw8.or_u"       Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_or_u<i8, _>;
I32AtomicRmw16OrU      [0xFE, 0x36] "i32.atomic.rmw16.or_u"      Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_or_u<i16, _>;
I64AtomicRmw8OrU       [0xFE, 0x37] "i64.atomic.rmw8.or_u"       Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_or_u<i8, _>;
I64AtomicRmw16OrU      [0xFE, 0x38] "i64.atomic.rmw16.or_u"      Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_or_u<i16, _>;
I64AtomicRmw32OrU      [0xFE, 0x39] "i64.atomic.rmw32.or_u"      Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_or_u<i32, _>;
I32AtomicRmwXor        [0xFE, 0x3A] "i32.atomic.rmw.xor"         Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_xor;
I64AtomicRmwXor        [0xFE, 0x3B] "i64.atomic.rmw.xor"         Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_xor;
I32AtomicRmw8XorU      [0xFE, 0x3C] "i32.atomic.rmw8.xor_u"      Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_xor_u<i8, _>;
I32AtomicRmw16XorU     [0xFE, 0x3D] "i32.atomic.rmw16.xor_u"     Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_xor_u<i16, _>;
I64AtomicRmw8XorU      [0xFE, 0x3E] "i64.atomic.rmw8.xor_u"      Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_xor_u<i8, _>;
I64AtomicRmw16XorU     [0xFE, 0x3F] "i64.atomic.rmw16.xor_u"     Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_xor_u<i16, _>;
I64AtomicRmw32XorU     [0xFE, 0x40] "i64.atomic.rmw32.xor_u"     Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_xor_u<i32, _>;
I32AtomicRmwXchg       [0xFE, 0x41] "i32.atomic.rmw.xchg"        Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_xchg;
I64AtomicRmwXchg       [0xFE, 0x42] "i64.atomic.rmw.xchg"        Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_xchg;
I32AtomicRmw8XchgU     [0xFE, 0x43] "i32.atomic.rmw8.xchg_u"     Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_xchg_u<i8, _>;
I32AtomicRmw16XchgU    [0xFE, 0x44] "i32.atomic.rmw16.xchg_u"    Threads Writes {at: MemArg} (address: i32, x: i32)                   -> i32 = rmw_xchg_u<i16, _>;
I64AtomicRmw8XchgU     [0xFE, 0x45] "i64.atomic.rmw8.xchg_u"     Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_xchg_u<i8, _>;
I64AtomicRmw16XchgU    [0xFE, 0x46] "i64.atomic.rmw16.xchg_u"    Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_xchg_u<i16, _>;
I64AtomicRmw32XchgU    [0xFE, 0x47] "i64.atomic.rmw32.xchg_u"    Threads Writes {at: MemArg} (address: i32, x: i64)                   -> i64 = rmw_xchg_u<i32, _>;
I32AtomicRmwCmpxchg    [0xFE, 0x48] "i32.atomic.rmw.cmpxchg"     Threads Writes {at: MemArg} (address: i32, expected: i32, x: i32)    -> i32 = cmpxchg;
I64AtomicRmwCmpxchg    [0xFE, 0x49] "i64.atomic.rmw.cmpxchg"     Threads Writes {at: MemArg} (address: i32, expected: i64, x: i64)    -> i64 = cmpxchg;
I32AtomicRmw8CmpxchgU  [0xFE, 0x4A] "i32.atomic.rmw8.cmpxchg_u"  Threads Writes {at: MemArg} (address: i32, expected: i32, x: i32)    -> i32 = cmpxchg_u<i8, _>;
I32AtomicRmw16CmpxchgU [0xFE, 0x4B] "i32.atomic.rmw16.cmpxchg_u" Threads Writes {at: MemArg} (address: i32, expected: i32, x: i32)    -> i32 = cmpxchg_u<i16, _>;
I64AtomicRmw8CmpxchgU  [0xFE, 0x4C] "i64.atomic.rmw8.cmpxchg_u"  Threads Writes {at: MemArg} (address: i32, expected: i64, x: i64)    -> i64 = cmpxchg_u<i8, _>;
I64AtomicRmw16CmpxchgU [0xFE, 0x4D] "i64.atomic.rmw16.cmpxchg_u" Threads Writes {at: MemArg} (address: i32, expected: i64, x: i64)    -> i64 = cmpxchg_u<i16, _>;
I64AtomicRmw32CmpxchgU [0xFE, 0x4E] "i64.atomic.rmw32.cmpxchg_u" Threads Writes {at: MemArg} (address: i32, expected: i64, x: i64)    -> i64 = cmpxchg_u<i32, _>;
    } } };
}
