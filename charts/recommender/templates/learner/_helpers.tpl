{{- define "recommender.learner.name" -}}
{{ include "recommender.fullname" . }}-learner
{{- end -}}

{{/* Whether the learner has a pod of its own: the file of a log of type Sqlite has one pod at a time, which serves, too. */}}
{{- define "recommender.learner.alone" -}}
{{- if and .Values.online.enabled (ne .Values.online.log.type "Sqlite") }}true{{ end }}
{{- end -}}

{{- define "recommender.learner.selectorLabels" -}}
{{ include "recommender.selectorLabels" . }}
app.kubernetes.io/component: {{ ternary "learner" "predictor" (eq (include "recommender.learner.alone" .) "true") }}
{{- end -}}

{{/* The learner. Called with a list: the root, and whether it is a sidecar of the predictor. */}}
{{- define "recommender.learner" -}}
{{- $root := index . 0 -}}
{{- $sidecar := index . 1 -}}
{{- $v := $root.Values -}}
- name: learner
  image: {{ include "recommender.image" $root | quote }}
  imagePullPolicy: {{ $v.image.pullPolicy }}
  {{- if $sidecar }}
  restartPolicy: Always
  {{- end }}
  args:
    - python
    - -m
    {{- if $v.promotions.follow }}
    - shoploop.packaging.pod_learner
    - --version={{ $v.version.id }}
    - --bento=/bento/content
    - --into=/var/lib/shoploop-learner
    {{- else }}
    - shoploop.online.learner_process
    - --ranker=/bento/content/src/ranker
    {{- end }}
    - --recommender={{ include "recommender.name" $root }}
    - {{ printf "--store=%s" $v.store.uri | quote }}
    - {{ printf "--log=%s" (include "recommender.log" $root) | quote }}
    - --log-folder=/var/lib/shoploop-events
    - --access=/etc/shoploop/log
    - --period-seconds={{ $v.online.publishPeriodSeconds }}
    - --optimizer={{ $v.online.optimizer }}
    - {{ printf "--guardrails=%s" (toJson $v.online.guardrails) | quote }}
    - --port=9102
  env:
    - {name: OMP_NUM_THREADS, value: "1"}
    {{- with printf "%s%s%s" (include "recommender.storeEnv" $root) (include "recommender.signingEnv" $root) (include "recommender.networkEnv" $root) | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- if $v.signing.privateKey.secretName }}
    - {name: SHOPLOOP_SIGNING_KEY, value: /etc/shoploop/signing/private.pem}
    {{- end }}
  ports:
    - {name: learner, containerPort: 9102, protocol: TCP}
  {{- if not $sidecar }}
  startupProbe:
    httpGet: {path: /livez, port: learner}
    periodSeconds: 2
    failureThreshold: {{ max 1 (div $v.startupSeconds 2) }}
    timeoutSeconds: 2
  readinessProbe:
    httpGet: {path: /readyz, port: learner}
    periodSeconds: 5
    timeoutSeconds: 2
    failureThreshold: 2
  {{- end }}
  # A sidecar that had to start first would keep the server from starting: it is given its time here.
  livenessProbe:
    httpGet: {path: /livez, port: learner}
    {{- if $sidecar }}
    initialDelaySeconds: {{ $v.startupSeconds }}
    {{- end }}
    periodSeconds: 20
    timeoutSeconds: 5
    failureThreshold: 3
  terminationMessagePolicy: FallbackToLogsOnError
  securityContext:
    {{- include "recommender.containerSecurity" $root | nindent 4 }}
  resources:
    {{- toYaml $v.online.learner.resources | nindent 4 }}
  volumeMounts:
    - {name: bento, mountPath: /bento, readOnly: true}
    {{- if $v.promotions.follow }}
    - {name: learner, mountPath: /var/lib/shoploop-learner}
    {{- end }}
    {{- if $v.signing.privateKey.secretName }}
    - {name: signing-key, mountPath: /etc/shoploop/signing, readOnly: true}
    {{- end }}
    {{- include "recommender.storeMounts" (list $root false) | nindent 4 }}
    {{- with include "recommender.logMounts" $root | trim }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* What the learner signs with. */}}
{{- define "recommender.signingVolume" -}}
{{- with .Values.signing.privateKey }}
{{- if .secretName }}
- name: signing-key
  secret:
    secretName: {{ .secretName | quote }}
    items:
      - {key: {{ .key | quote }}, path: private.pem, mode: 0440}
{{- end }}
{{- end }}
{{- end -}}

{{- define "recommender.learner.ingress" -}}
- ports:
    - {port: learner, protocol: TCP}
  {{- with .Values.online.learner.from }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
