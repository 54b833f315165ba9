;; One step of Adam in place, two parameters at a time: the arithmetic of adamStep in optimizer.ts, in the same order and in float64, so
;; that both give the same bits. Assembled into adam-kernel.ts; a test holds the two against each other.
(module
  (memory (import "training" "memory") 1)
  (func (export "adam")
    ;; addresses: parameters and gradient (float32), first and second moments (float64)
    (param $p i32) (param $g i32) (param $m i32) (param $v i32)
    ;; number of parameters, even
    (param $count i32)
    (param $beta1 f64) (param $beta2 f64)
    ;; learning rate / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
    (param $stepSize f64) (param $secondScale f64)
    (param $epsilon f64)
    ;; 1 - learning rate * weight decay
    (param $keep f64)
    (local $end i32) (local $slope v128) (local $first v128) (local $second v128)
    (local $rate1 f64) (local $rate2 f64)
    (local.set $rate1 (f64.sub (f64.const 1) (local.get $beta1)))
    (local.set $rate2 (f64.sub (f64.const 1) (local.get $beta2)))
    (local.set $end (i32.add (local.get $p) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (local.set $slope (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $g))))
        ;; m = beta1 m + (1 - beta1) g
        (local.set $first
          (f64x2.add
            (f64x2.mul (f64x2.splat (local.get $beta1)) (v128.load (local.get $m)))
            (f64x2.mul (f64x2.splat (local.get $rate1)) (local.get $slope))))
        ;; v = beta2 v + ((1 - beta2) g) g
        (local.set $second
          (f64x2.add
            (f64x2.mul (f64x2.splat (local.get $beta2)) (v128.load (local.get $v)))
            (f64x2.mul
              (f64x2.mul (f64x2.splat (local.get $rate2)) (local.get $slope))
              (local.get $slope))))
        (v128.store (local.get $m) (local.get $first))
        (v128.store (local.get $v) (local.get $second))
        ;; p = p keep - stepSize m / (sqrt(v) secondScale + epsilon)
        (v128.store64_lane 0 (local.get $p)
          (f32x4.demote_f64x2_zero
            (f64x2.sub
              (f64x2.mul
                (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $p)))
                (f64x2.splat (local.get $keep)))
              (f64x2.div
                (f64x2.mul (f64x2.splat (local.get $stepSize)) (local.get $first))
                (f64x2.add
                  (f64x2.mul (f64x2.sqrt (local.get $second)) (f64x2.splat (local.get $secondScale)))
                  (f64x2.splat (local.get $epsilon)))))))
        (local.set $p (i32.add (local.get $p) (i32.const 8)))
        (local.set $g (i32.add (local.get $g) (i32.const 8)))
        (local.set $m (i32.add (local.get $m) (i32.const 16)))
        (local.set $v (i32.add (local.get $v) (i32.const 16)))
        (br $next)))))
