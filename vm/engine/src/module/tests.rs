use super::*;
use crate::types::ValType;

fn module(text: &str) -> Module {
    let bytes = wat::parse_str(text).expect("text of a module");
    Module::new(&Engine::default(), bytes).expect("a valid module")
}

#[test]
fn imports_come_first_in_index_spaces() {
    let module = module(
        r#"(module $m
            (import "a" "f" (func $f (param i32)))
            (import "a" "g" (global i64))
            (func $own (export "run") (result f64) f64.const 1)
            (memory (export "memory") 1 2)
            (global (export "g") (mut i32) i32.const 7))"#,
    );
    let imports: Vec<_> = module.imports().map(|i| (i.module, i.name, i.ty)).collect();
    let f = FuncType::new([ValType::I32], []);
    assert_eq!(imports[0], ("a", "f", ExternType::Func(f)));
    assert_eq!(imports.len(), 2);
    assert_eq!(module.export("run"), Some(ExternType::Func(FuncType::new([], [ValType::F64]))));
    assert_eq!(module.export("nothing"), None);
    assert_eq!(module.exports().map(|e| e.name).collect::<Vec<_>>(), ["run", "memory", "g"]);
    assert_eq!(module.name(), Some("m"));
    assert_eq!(module.function_name(1), Some("own"));
    assert!(module.inner().body_span(0).is_none() && module.inner().body_span(1).is_some());
}

#[test]
fn names_come_from_exports_where_there_is_no_name_section() {
    let module = module(r#"(module (import "a" "b" (func)) (func (export "c")))"#);
    assert_eq!((module.function_name(0), module.function_name(1)), (Some("b"), Some("c")));
    assert_eq!(module.function_name(2), None);
}

#[test]
fn lazy_modules_find_an_invalid_body_when_it_is_asked_for() {
    let bytes = wat::parse_str("(module (func) (func (result i32)))").expect("text");
    let engine = Engine::default();
    let error = Module::new(&engine, bytes.clone()).expect_err("no result");
    let module = Module::lazy(&engine, bytes).expect("sections are valid");
    let mut allocations = FuncValidatorAllocations::default();
    assert_eq!(module.inner().validate_body(0, &mut allocations), Ok(()));
    assert_eq!(module.inner().validate_body(1, &mut allocations), Err(error.clone()));
    assert_eq!(module.validate_bodies(), Err(error));
}

#[test]
fn constant_expressions_compute() {
    struct Scope;
    impl ConstScope for Scope {
        fn global(&self, index: u32) -> u128 {
            u128::from(index) + 40
        }
        fn function(&self, index: u32) -> u32 {
            index + 100
        }
    }
    let module = module(
        r#"(module (import "a" "b" (global i32)) (func $f)
            (global i32 (i32.sub (global.get 0) (i32.mul (i32.const 3) (i32.const 14))))
            (global i64 (i64.const -1))
            (global funcref (ref.func $f))
            (global externref (ref.null extern))
            (global v128 (v128.const i64x2 1 2)))"#,
    );
    let inner = module.inner();
    let values: Vec<_> =
        inner.globals.iter().filter_map(|g| Some(g.init?.value(inner, &Scope))).collect();
    let expected = [u128::from(-2i32 as u32), u128::from(u64::MAX), 100, 0, 1 | 2 << 64];
    assert_eq!(values, expected);
}

#[test]
fn garbage_is_an_error_with_an_offset() {
    let engine = Engine::default();
    assert!(Module::new(&engine, b"\0asm\x0d\0\x01\0".to_vec()).is_err(), "a component");
    let error = Module::new(&engine, b"\0asm\x01\0\0\0\x01\xff".to_vec()).expect_err("cut");
    assert!(error.offset().is_some() && !error.to_string().is_empty());
}
