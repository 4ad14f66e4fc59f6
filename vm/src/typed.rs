//! Rust types as WebAssembly values: what typed functions and host functions are made of.

use std::marker::PhantomData;

use brant_engine::{Func, Val, ValType};

use crate::{Error, Process};

/// A Rust type that is one WebAssembly value.
///
/// Unsigned integers have the bits of their signed twins.
pub trait WasmValue: Copy + Send + 'static {
    /// The type as WebAssembly calls it.
    const TYPE: ValType;
    /// The value for the guest.
    fn into_val(self) -> Val;
    /// A guest's value, if it has this type.
    fn from_val(value: &Val) -> Option<Self>;
}

macro_rules! wasm_value {
    ($($rust:ty as $wasm:ident, $value:ident => $into:expr, $bits:ident => $from:expr;)*) => {$(
        impl WasmValue for $rust {
            const TYPE: ValType = ValType::$wasm;

            fn into_val(self) -> Val {
                let $value = self;
                Val::$wasm($into)
            }

            fn from_val(value: &Val) -> Option<Self> {
                match *value {
                    Val::$wasm($bits) => Some($from),
                    _ => None,
                }
            }
        }
    )*};
}

wasm_value! {
    i32 as I32, value => value, bits => bits;
    u32 as I32, value => value.cast_signed(), bits => bits.cast_unsigned();
    i64 as I64, value => value, bits => bits;
    u64 as I64, value => value.cast_signed(), bits => bits.cast_unsigned();
    f32 as F32, value => value.to_bits(), bits => f32::from_bits(bits);
    f64 as F64, value => value.to_bits(), bits => f64::from_bits(bits);
    u128 as V128, value => value, bits => bits;
}

/// The parameters or results of a function: `()`, one value, or a tuple of up to twelve.
pub trait WasmValues: Sized + 'static {
    /// Their types, in order.
    fn types() -> Vec<ValType>;
    /// The values for the guest.
    fn into_vals(self) -> Vec<Val>;
    /// A guest's values, if they have these types.
    fn from_vals(values: &[Val]) -> Option<Self>;
}

impl<T: WasmValue> WasmValues for T {
    fn types() -> Vec<ValType> {
        vec![T::TYPE]
    }

    fn into_vals(self) -> Vec<Val> {
        vec![self.into_val()]
    }

    fn from_vals(values: &[Val]) -> Option<Self> {
        match values {
            [value] => T::from_val(value),
            _ => None,
        }
    }
}

/// Calls a macro with each tuple of type parameters and field names, the shortest first.
macro_rules! for_each_tuple {
    ($each:ident) => {
        $each!();
        $each!(A a);
        $each!(A a, B b);
        $each!(A a, B b, C c);
        $each!(A a, B b, C c, D d);
        $each!(A a, B b, C c, D d, E e);
        $each!(A a, B b, C c, D d, E e, F f);
        $each!(A a, B b, C c, D d, E e, F f, G g);
        $each!(A a, B b, C c, D d, E e, F f, G g, H h);
        $each!(A a, B b, C c, D d, E e, F f, G g, H h, I i);
        $each!(A a, B b, C c, D d, E e, F f, G g, H h, I i, J j);
        $each!(A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k);
        $each!(A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k, L l);
    };
}
pub(crate) use for_each_tuple;

macro_rules! wasm_values {
    ($($kind:ident $name:ident),*) => {
        impl<$($kind: WasmValue),*> WasmValues for ($($kind,)*) {
            fn types() -> Vec<ValType> {
                vec![$($kind::TYPE),*]
            }

            fn into_vals(self) -> Vec<Val> {
                let ($($name,)*) = self;
                vec![$($name.into_val()),*]
            }

            fn from_vals(values: &[Val]) -> Option<Self> {
                match values {
                    [$($name),*] => Some(($($kind::from_val($name)?,)*)),
                    _ => None,
                }
            }
        }
    };
}
for_each_tuple!(wasm_values);

/// An exported function whose type has been checked once, so that calls need not.
///
/// It belongs to the process it was looked up in.
pub struct TypedFunc<P, R> {
    func: Func,
    kinds: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for TypedFunc<P, R> {}

impl<P: WasmValues, R: WasmValues> TypedFunc<P, R> {
    pub(crate) fn new(func: Func) -> TypedFunc<P, R> {
        TypedFunc { func, kinds: PhantomData }
    }

    /// Calls the function and waits for its results.
    ///
    /// # Errors
    /// A trap, the end of the process, or a stop ([`Error::Stopped`]), after which
    /// [`TypedFunc::resume`] goes on.
    pub fn call(&self, process: &mut Process, params: P) -> Result<R, Error> {
        results(process.call_func(self.func, &params.into_vals())?)
    }

    /// Goes on with a call that was stopped.
    ///
    /// # Errors
    /// As [`TypedFunc::call`]; [`Error::NothingToResume`] where no call was stopped.
    pub fn resume(&self, process: &mut Process) -> Result<R, Error> {
        results(process.resume_call()?)
    }
}

fn results<R: WasmValues>(values: Vec<Val>) -> Result<R, Error> {
    // The type was compared when the function was looked up.
    R::from_vals(&values).ok_or(Error::NothingToResume)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went() {
        let values = (1i32, u64::MAX, -0.0f32, f64::NAN.to_bits(), 7u128).into_vals();
        let back = <(i32, u64, f32, u64, u128)>::from_vals(&values).expect("the same types");
        assert_eq!((back.0, back.1, back.4), (1, u64::MAX, 7));
        assert!(back.2.is_sign_negative());
    }

    #[test]
    fn other_types_and_lengths_are_refused() {
        assert_eq!(<(i32, i32)>::from_vals(&[Val::I32(1)]), None);
        assert_eq!(i64::from_vals(&[Val::I32(1)]), None);
        assert_eq!(<()>::from_vals(&[]), Some(()));
    }

    #[test]
    fn one_value_and_a_tuple_of_one_are_the_same() {
        assert_eq!(<(i32,)>::types(), i32::types());
        assert_eq!((5i32,).into_vals(), 5i32.into_vals());
    }
}
