;; A call may be a stop: what is live lies in the frame, and the pad stores it.
(module
  (import "" "tick" (func $tick (param i32) (result i32)))
  (func $leaf (param $x i32) (result i32)
    (i32.add (local.get $x) (i32.const 1)))
  (func $twice (param $x i32) (param $y i64) (result i64)
    (drop (call $leaf (local.get $x)))
    (i64.add (local.get $y) (i64.extend_i32_u (call $tick (i32.const 7))))))

;;! function 1 $leaf: 12 bytes of code
;;!   pushq %rbp
;;!   movq %rsp, %rbp
;;! block0:
;;!   leal 1(%rsi), %eax
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;!
;;! function 2 $twice: 129 bytes of code
;;!   pushq %rbp
;;!   movq %rsp, %rbp
;;!   movq 0xc0(%rdi), %r10
;;!   addq $0x20, %r10
;;!   cmpq %rsp, %r10
;;!   jnbe #trap=stk_ovf
;;!   subq $0x10, %rsp
;;!   movq %rbx, (%rsp)
;;!   movq %r15, 8(%rsp)
;;! block0:
;;!   movq %rdx, %rbx
;;!   movq 0x1e8(%rdi), %rax
;;!   movq %rdi, %r15
;;!   call    *%rax; jmp MachLabel(2); catch [tag0: MachLabel(1)]
;;! block2:
;;!   movq %r15, %rdi
;;!   movq 0x1e0(%rdi), %rax
;;!   movl $0x7, %esi
;;!   call    *%rax; jmp MachLabel(4); catch [tag1: MachLabel(3)]
;;! block4:
;;!   movl %eax, %eax
;;!   movq %rbx, %rdx
;;!   leaq (%rdx, %rax), %rax
;;!   movq (%rsp), %rbx
;;!   movq 8(%rsp), %r15
;;!   addq $0x10, %rsp
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;! block1:
;;!   movq %rbx, %rdx
;;!   jmp     label5
;;! block3:
;;!   movq %rbx, %rdx
;;!   jmp     label5
;;! block5:
;;!   movq %rdx, (%rax)
;;!   movq (%rsp), %rbx
;;!   movq 8(%rsp), %r15
;;!   addq $0x10, %rsp
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;!
;;! at    can                operator  site  pad   state
;;! 0x34  stop at the call   0x35      2     0x5f  local 1 at 0
;;! 0x45  stop at the call   0x3c      4     0x67  operand 0 at 0
;;! 0x7f  stop at the entry            0
